import fc from "fast-check";
import { expect, test } from "vitest";
import { packCodes, packedBytes, unpackSigned, unpackUnsigned } from "../../src/formats/packing.ts";
import { readGolden } from "./golden.ts";

const rows = (readGolden("b-08_integer.json") as { packing: { bits: number; codes: number[]; bytes: number[] }[] }).packing;

test.for(rows)("$bits-bit codes fill bytes from the least significant bit", ({ bits, codes, bytes }) => {
  expect([...packCodes(codes, bits)]).toEqual(bytes);
  expect([...unpackUnsigned(Uint8Array.from(bytes), bits, codes.length)]).toEqual(codes);
});

test("unpacking undoes packing for every width and length, and padding bits are 0", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(255), { maxLength: 70 }), (bits, values) => {
      const codes = values.map((v) => v & ((1 << bits) - 1));
      const bytes = packCodes(codes, bits);
      expect(bytes.length).toBe(packedBytes(codes.length, bits));
      expect([...unpackUnsigned(bytes, bits, codes.length)]).toEqual(codes);
      const signed = codes.map((c) => (c >> (bits - 1) ? c - (1 << bits) : c));
      expect([...packCodes(signed, bits)]).toEqual([...bytes]);
      expect([...unpackSigned(bytes, bits, codes.length)]).toEqual(signed);
      const spare = bytes.length * 8 - codes.length * bits;
      if (spare > 0) expect(bytes.at(-1)! >> (8 - spare)).toBe(0);
    }),
  );
});
