// One reference for each operator of TensorFlow Lite's vectors, by name. Every rule that the project has itself is taken from src.
import { activations } from "./activations.ts";
import type { Reference } from "./case.ts";
import { convolutions } from "./convolution.ts";
import { elementwise } from "./elementwise.ts";
import { fixedPoint } from "./fixedpoint.ts";
import { movements } from "./movement.ts";
import { pooling } from "./pooling.ts";
import { quantization } from "./quantization.ts";
import { lookups } from "./tables.ts";

export const references: ReadonlyMap<string, Reference> = new Map(
  Object.entries({ ...fixedPoint, ...convolutions, ...elementwise, ...pooling, ...activations, ...movements, ...quantization, ...lookups }),
);
