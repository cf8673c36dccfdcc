import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Libc, NsmIoctl } from "../../../attestation/nsm/ioctl.ts";

interface Seen {
  fd: number;
  command: number;
  request: Uint8Array;
  responseLength: number;
}

/** A libc whose addresses are numbers of arrays, and a driver that answers with `response`. */
function driver(response: Uint8Array, reportedLength = response.length) {
  const memory: Uint8Array[] = [];
  const seen: Seen[] = [];
  const libc: Libc = {
    addressOf: (bytes) => BigInt(memory.push(bytes)) << 40n,
    errno: () => 110,
    ioctl(fd, command, argument) {
      const view = new DataView(argument.buffer, argument.byteOffset, argument.length);
      const word = (index: number) => view.getBigUint64(8 * index, true);
      assert.equal(argument.length, 32);
      const at = (index: number) => memory[Number(word(index) >> 40n) - 1] ?? new Uint8Array();
      seen.push({
        fd,
        command,
        request: Uint8Array.from(at(0).subarray(0, Number(word(1)))),
        responseLength: Number(word(3)),
      });
      if (response.length === 0) {
        return -1;
      }
      at(2).set(response);
      view.setBigUint64(24, BigInt(reportedLength), true);
      return 0;
    },
  };
  return { nsm: new NsmIoctl(libc, 7), seen, memory };
}

describe("the ioctl of the NSM driver", () => {
  it("points at the request and at room for the longest response", () => {
    const { nsm, seen, memory } = driver(Uint8Array.of(9));
    nsm.exchange(Uint8Array.of(1, 2, 3));
    assert.deepEqual(seen, [
      { fd: 7, command: 0xc0200a00, request: Uint8Array.of(1, 2, 3), responseLength: 12_288 },
    ]);
    assert.equal(memory[1]?.length, 12_288);
  });

  it("gives as many bytes as the driver says it wrote", () => {
    const { nsm } = driver(Uint8Array.of(1, 2, 3, 4), 3);
    assert.deepEqual(nsm.exchange(Uint8Array.of(0)), { response: Uint8Array.of(1, 2, 3) });
  });

  it("gives the error number of a refused call", () => {
    const { nsm } = driver(new Uint8Array());
    assert.deepEqual(nsm.exchange(Uint8Array.of(0)), { errno: 110 });
  });

  it("sends 4096 bytes, and refuses one more without a call", () => {
    const { nsm, seen } = driver(Uint8Array.of(1));
    nsm.exchange(new Uint8Array(4096).fill(5));
    assert.equal(seen[0]?.request.length, 4096);
    assert.deepEqual(nsm.exchange(new Uint8Array(4097)), { errno: 90 });
    assert.equal(seen.length, 1);
  });

  it("does not believe a length beyond its buffer", () => {
    const { nsm } = driver(Uint8Array.of(1), 12_289);
    assert.deepEqual(nsm.exchange(Uint8Array.of(0)), { errno: 90 });
  });

  it("keeps requests apart, and leaves no response behind", () => {
    const { nsm, seen, memory } = driver(new Uint8Array(40).fill(7));
    const first = nsm.exchange(new Uint8Array(100).fill(1));
    assert.ok(memory[1]?.every((byte) => byte === 0));
    nsm.exchange(Uint8Array.of(2));
    assert.deepEqual(seen[1]?.request, Uint8Array.of(2));
    assert.deepEqual(first, { response: new Uint8Array(40).fill(7) });
  });
});
