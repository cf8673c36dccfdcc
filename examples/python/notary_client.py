"""Calls the notary of ../notary through the host's proxy: generated stubs, calls of all kinds.

    python notary_client.py --target HOST:PORT --policy policy.json [--simulator]

--simulator admits the root of a simulator, which proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from hashlib import sha256
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from grpc import aio

from sealrpc import AttestedChannel, CallError, Policy, SealrpcError

# Generates messages and stubs in memory. A program of your own runs grpc_tools.protoc once instead.
sys.path.insert(0, str(Path(__file__).parent.parent / "notary" / "proto"))
messages, services = grpc.protos_and_services("notary/v1/notary.proto")

DOCUMENT = b"A letter.\n" * 100_000


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--simulator", action="store_true", help="admit the root of a simulator")
    options = parser.parse_args()
    policy = Policy.from_file(options.policy, admit_test_root=options.simulator)
    async with AttestedChannel(options.target, policy) as channel:
        print(f"attested: {(await channel.session()).claims.module_id}")
        await visit(services.NotaryServiceStub(channel))


async def visit(notary: services.NotaryServiceStub) -> None:
    pem = (await notary.GetPublicKey(messages.GetPublicKeyRequest(), timeout=5)).pem
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, EllipticCurvePublicKey)

    def check(signature: bytes, digest: bytes) -> None:
        key.verify(signature, digest, ECDSA(SHA256()))  # or raises InvalidSignature

    digest = sha256(DOCUMENT).digest()
    signed = await notary.SignDigest(messages.SignDigestRequest(sha256=digest), timeout=5)
    check(signed.signature, digest)
    print("signed a digest")

    parts = (DOCUMENT[at : at + 65_536] for at in range(0, len(DOCUMENT), 65_536))
    requests = (messages.UploadDocumentRequest(name="letter.txt", data=part) for part in parts)
    receipt = (await notary.UploadDocument(requests, timeout=30)).receipt
    assert (receipt.size, receipt.sha256) == (len(DOCUMENT), digest)
    check(receipt.signature, digest)
    print(f"receipt {receipt.number} for {receipt.size} bytes of {receipt.name}")

    listed = notary.ListReceipts(messages.ListReceiptsRequest())
    receipts = [answer.receipt async for answer in listed]
    assert receipt in receipts
    print(f"{len(receipts)} listed")

    digests = [sha256(bytes([number])).digest() for number in range(100)]
    many = notary.SignMany(messages.SignManyRequest(sha256=digest) for digest in digests)
    signatures = [answer.signature async for answer in many]
    for signature, digest in zip(signatures, digests, strict=True):
        check(signature, digest)
    print(f"signed {len(signatures)} more")

    try:
        await notary.SignDigest(messages.SignDigestRequest(sha256=b"short"))
    except CallError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and error.outcome == "executed"
        print(f"refused what is no digest: {error.details()}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (SealrpcError, aio.AioRpcError, ValueError) as error:
        sys.exit(f"notary: {error}")
