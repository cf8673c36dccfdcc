/** padding.json: how long a plaintext becomes. */
import { paddedLength, type Padding } from "../../channel/padding.ts";
import type { VectorFile } from "./vector-file.ts";

export function paddingVectors(): VectorFile {
  const lengths = [
    1, 255, 256, 257, 272, 273, 512, 513, 1000, 1025, 65_536, 65_537, 250_000, 262_143, 262_144,
  ];
  const paddings: readonly Padding[] = ["none", "padme", { bucket: 1024 }, { bucket: 100_000 }];
  return {
    description: "From the length of frames and type to the length of the plaintext",
    spec: "§7",
    cases: paddings.map((padding) => ({
      name: typeof padding === "string" ? padding : `bucket of ${padding.bucket}`,
      expect: "ok",
      padding,
      padded: Object.fromEntries(lengths.map((length) => [length, paddedLength(padding, length)])),
    })),
  };
}
