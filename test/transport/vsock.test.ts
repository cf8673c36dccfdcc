import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VSOCK_CID_ANY } from "../../transport/address.ts";
import {
  decodeVsockSockaddr,
  encodeTimeval,
  encodeVsockSockaddr,
  vsockEndpoint,
} from "../../transport/vsock.ts";

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/(.{16})(?=.)/g, "$1 ");

// No test here opens a vsock socket: that needs a guest.
describe("a vsock address", () => {
  it("is encoded as the kernel lays it out, port before CID", () => {
    assert.equal(hex(encodeVsockSockaddr(16, 5000)), "2800000088130000 1000000000000000");
    assert.equal(
      hex(encodeVsockSockaddr(VSOCK_CID_ANY, 0xfffffffe)),
      "28000000feffffff ffffffff00000000",
    );
  });

  it("is read back, and nothing of another family or length is", () => {
    assert.deepEqual(decodeVsockSockaddr(encodeVsockSockaddr(3, 7)), { cid: 3, port: 7 });
    assert.throws(() => decodeVsockSockaddr(Uint8Array.of(40, 0, 0, 0)), { name: "RangeError" });
    assert.throws(() => decodeVsockSockaddr(new Uint8Array(16).fill(1)), { name: "RangeError" });
  });

  it("sets the buffer's maximum before its size", () => {
    const { family, options } = vsockEndpoint({ kind: "vsock", cid: 3, port: 7 });
    assert.equal(family, 40);
    assert.deepEqual(
      options.map(({ level, option, value }) => [level, option, hex(value)]),
      [
        [40, 2, "0070000000000000"],
        [40, 0, "0070000000000000"],
      ],
    );
  });

  for (const bytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`refuses ${bytes} buffer bytes`, () => {
      assert.throws(() => vsockEndpoint({ kind: "vsock", cid: 3, port: 7 }, bytes), {
        name: "RangeError",
      });
    });
  }

  it("takes a timeout as seconds and microseconds, never as 0, which would be the default", () => {
    assert.equal(hex(encodeTimeval(1700.5)), "0100000000000000 54b00a0000000000");
    assert.equal(hex(encodeTimeval(0)), "0000000000000000 0100000000000000");
    assert.equal(encodeTimeval(Number.POSITIVE_INFINITY).length, 16);
  });
});
