import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AttestationRequest,
  type Attester,
  guardedAttester,
} from "../../../attestation/nsm/attester.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** An attester that keeps what it was asked, and whether it was closed. */
function recorder() {
  const asked: AttestationRequest[] = [];
  let closed = false;
  const attester: Attester = {
    async attest(request) {
      asked.push(request);
      return Uint8Array.of(1);
    },
    async close() {
      closed = true;
    },
  };
  return { asked, guarded: guardedAttester(attester), isClosed: () => closed };
}

describe("a guarded attester", () => {
  it("refuses user data that carries a label of the handshake", () => {
    const { asked, guarded } = recorder();
    for (const text of ["sealrpc1 ", "sealrpc1 server attestation\0", "sealrpc1 anything"]) {
      assert.throws(() => guarded.attest({ userData: bytes(text) }), RangeError);
    }
    assert.deepEqual(asked, []);
  });

  it("passes every other request on", async () => {
    const { asked, guarded } = recorder();
    const requests = [
      {},
      { userData: new Uint8Array() },
      { userData: bytes("sealrpc1") },
      { userData: bytes("Sealrpc1 ") },
      { userData: bytes(" sealrpc1 ") },
      { publicKey: bytes("sealrpc1 "), nonce: bytes("sealrpc1 ") },
    ];
    for (const request of requests) {
      assert.deepEqual(await guarded.attest(request), Uint8Array.of(1));
    }
    const empty = { publicKey: undefined, userData: undefined, nonce: undefined };
    assert.deepEqual(
      asked,
      requests.map((request) => ({ ...empty, ...request })),
    );
  });

  it("attests to the user data that it has checked, whatever becomes of the caller's array", async () => {
    const { asked, guarded } = recorder();
    const userData = bytes("harmless");
    const attested = guarded.attest({ userData });
    userData.set(bytes("sealrpc1"));
    await attested;
    assert.deepEqual(asked[0]?.userData, bytes("harmless"));
  });

  it("leaves the attester underneath open", async () => {
    const { guarded, isClosed } = recorder();
    await guarded.close();
    assert.equal(isClosed(), false);
  });
});
