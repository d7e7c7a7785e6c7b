import { encode } from "fast-png";
import { describe, expect, test } from "vitest";
import { toChannels } from "../../src/data/image.ts";
import { decodeJpeg } from "../../src/data/jpeg.ts";
import { decodePng } from "../../src/data/png.ts";
import { resize, shortSideDims } from "../../src/data/resize.ts";
import { bytesOf, golden, rgbJpeg, rgbPng } from "./fixtures.ts";
import { dice, repairPng } from "./mutate.ts";

describe("JPEG", () => {
  test.for(golden.jpeg)("$name decodes to the bits of libjpeg", async ({ file, dims, planes }) => {
    const image = await decodeJpeg(bytesOf(file), "a.jpg");
    expect([image.channels, image.height, image.width]).toEqual(dims);
    expect(image.data).toEqual(bytesOf(planes));
  });

  test.for([
    ["cut in the middle", rgbJpeg.slice(0, rgbJpeg.length - 100)],
    ["without its last marker", rgbJpeg.slice(0, rgbJpeg.length - 2)],
    ["cut in the header", rgbJpeg.slice(0, 40)],
    ["a PNG under the name of a JPEG", rgbPng],
    ["empty", new Uint8Array(0)],
    ["CMYK", bytesOf(golden.cmyk)],
  ] as const)("a file %s is refused with its name", async ([, bytes]) => {
    await expect(decodeJpeg(bytes, "cat/7.jpg")).rejects.toMatchObject({ code: "DATA_MALFORMED", place: "cat/7.jpg" });
  });

  test("a broken file does not spoil the next", async () => {
    await expect(decodeJpeg(rgbJpeg.slice(0, 700), "a.jpg")).rejects.toThrow(/a\.jpg: found a JPEG that breaks/);
    expect((await decodeJpeg(rgbJpeg, "b.jpg")).data).toEqual(bytesOf(golden.jpeg[0]!.planes));
  });

  test("a declared size beyond what the bytes can hold is refused before anything is allocated", async () => {
    const bomb = rgbJpeg.slice();
    const frame = bomb.findIndex((byte, i) => byte === 0xff && bomb[i + 1] === 0xc0);
    bomb.set([0xff, 0xff, 0xff, 0xff], frame + 5);
    await expect(decodeJpeg(bomb, "bomb.jpg")).rejects.toThrow(/bomb\.jpg: found a declared size of 65535×65535 pixels/);
  });
});

describe("PNG", () => {
  test.for(golden.png)("$name decodes to the bytes of Pillow", ({ file, dims, planes }) => {
    const image = decodePng(bytesOf(file), "a.png");
    expect([image.channels, image.height, image.width]).toEqual(dims);
    expect(image.data).toEqual(bytesOf(planes));
  });

  test.for([
    ["cut off", rgbPng.slice(0, rgbPng.length - 20)],
    ["with a flipped bit", rgbPng.map((byte, i) => (i === 60 ? byte ^ 4 : byte))],
    ["a JPEG under the name of a PNG", rgbJpeg],
    ["empty", new Uint8Array(0)],
  ] as const)("a file %s is refused with its name", ([, bytes]) => {
    expect(() => decodePng(bytes, "cat/7.png")).toThrow(expect.objectContaining({ code: "DATA_MALFORMED", place: "cat/7.png" }));
  });

  test("a declared size beyond what the bytes can hold is refused", () => {
    const bomb = rgbPng.slice();
    new DataView(bomb.buffer).setUint32(16, 100_000);
    expect(() => decodePng(bomb, "bomb.png")).toThrow(/declared size of 100000×5 pixels/);
  });

  // Noise does not compress, so that the packed data is long enough to be measured before it is decoded.
  const noise = (width: number, height: number): Uint8Array<ArrayBuffer> => {
    const roll = dice(7);
    return Uint8Array.from({ length: width * height * 3 }, () => roll(256));
  };

  test("a large picture passes the measure", () => {
    const data = noise(400, 300);
    const image = decodePng(encode({ width: 400, height: 300, channels: 3, depth: 8, data }), "a.png");
    expect(image.data[2 * 400 * 300 + 399]).toBe(data[399 * 3 + 2]);
  });

  test("a stream that inflates far beyond the picture is refused", () => {
    const bomb = encode({ width: 400, height: 300, channels: 3, depth: 8, data: noise(400, 300) }) as Uint8Array<ArrayBuffer>;
    new DataView(bomb.buffer, bomb.byteOffset).setUint32(20, 100);
    expect(() => decodePng(repairPng(bomb), "bomb.png")).toThrow(/bomb\.png: found more than 240200 bytes when inflated/);
  });
});

describe("resize", () => {
  test.for(golden.resize)("$from to $to is Pillow's bilinear, to the byte", ({ from: [height, width], to, source, target }) => {
    const image = resize({ height, width, channels: 3, data: bytesOf(source) }, to[0], to[1]);
    expect(image.data).toEqual(bytesOf(target));
  });

  test("the short side is met and the long one rounded down", () => {
    const data = new Uint8Array(10 * 15);
    expect(shortSideDims({ height: 10, width: 15, channels: 1, data }, 7)).toEqual([7, 10]);
    expect(shortSideDims({ height: 15, width: 10, channels: 1, data }, 7)).toEqual([10, 7]);
  });
});

test("RGB becomes grey as in Pillow, and grey RGB by repetition", () => {
  const [height, width] = golden.grey.from;
  const grey = toChannels({ height, width, channels: 3, data: bytesOf(golden.grey.source) }, 1, "a");
  expect(grey.data).toEqual(bytesOf(golden.grey.target));
  const rgb = toChannels(grey, 3, "a");
  expect(rgb.data).toEqual(Uint8Array.from([...grey.data, ...grey.data, ...grey.data]));
});
