"""Hashes, HPKE and the key schedule: docs/protocol.md §2, §5 and the client's half of §6."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

Aead = AESGCM | ChaCha20Poly1305
AEADS: dict[int, type[AESGCM] | type[ChaCha20Poly1305]] = {1: AESGCM, 2: ChaCha20Poly1305}
"""The suites that this client has; 3 and 4 (X-Wing) are optional in the protocol."""

_KEM = 0x0020
_HPKE_ID = b"HPKE" + _KEM.to_bytes(2, "big") + b"\x00\x01" + b"\xff\xff"
_KEM_ID = b"KEM" + _KEM.to_bytes(2, "big")


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def lp(data: bytes) -> bytes:
    return u32(len(data)) + data


def labeled_hash(label: str, *parts: bytes) -> bytes:
    """`H` of the document."""
    return sha256(b"".join(map(lp, (label.encode(), *parts)))).digest()


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(SHA256(), length, info).derive(prk)


def _labeled_extract(suite_id: bytes, salt: bytes, label: str, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label.encode() + ikm, "sha256")


def _labeled_expand(suite_id: bytes, prk: bytes, label: str, info: bytes, length: int) -> bytes:
    return expand(prk, u16(length) + b"HPKE-v1" + suite_id + label.encode() + info, length)


class Exporter:
    """`Export` of the document: HPKE in base mode with the export-only AEAD."""

    def __init__(self, shared_secret: bytes, info: bytes) -> None:
        psk_id_hash = _labeled_extract(_HPKE_ID, b"", "psk_id_hash", b"")
        info_hash = _labeled_extract(_HPKE_ID, b"", "info_hash", info)
        secret = _labeled_extract(_HPKE_ID, shared_secret, "secret", b"")
        context = b"\x00" + psk_id_hash + info_hash
        self._secret = _labeled_expand(_HPKE_ID, secret, "exp", context, 32)

    def export(self, context: bytes, length: int) -> bytes:
        return _labeled_expand(_HPKE_ID, self._secret, "sec", context, length)


def encapsulate(private_key: X25519PrivateKey, public_key: bytes) -> tuple[bytes, bytes]:
    """`enc` and `shared_secret`. Raises ValueError if the Diffie-Hellman result is all zero."""
    enc = private_key.public_key().public_bytes_raw()
    dh = private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
    return enc, _kem_secret(dh, enc, public_key)


def decapsulate(private_key: X25519PrivateKey, enc: bytes) -> bytes:
    """The enclave's side, for the test vectors."""
    dh = private_key.exchange(X25519PublicKey.from_public_bytes(enc))
    return _kem_secret(dh, enc, private_key.public_key().public_bytes_raw())


def _kem_secret(dh: bytes, enc: bytes, public_key: bytes) -> bytes:
    eae_prk = _labeled_extract(_KEM_ID, b"", "eae_prk", dh)
    return _labeled_expand(_KEM_ID, eae_prk, "shared_secret", enc + public_key, 32)


@dataclass(frozen=True)
class Key:
    """A key of the suite's AEAD and its iv, from 44 bytes."""

    aead: Aead
    iv: bytes

    @staticmethod
    def of(suite: int, key_and_iv: bytes) -> Key:
        return Key(AEADS[suite](key_and_iv[:32]), key_and_iv[32:])

    def nonce(self, counter: int) -> bytes:
        return bytes(a ^ b for a, b in zip(self.iv, counter.to_bytes(12, "big"), strict=True))


def traffic_key(secret: bytes) -> bytes:
    return expand(secret, b"sealrpc1 key", 44)


def next_secret(secret: bytes) -> bytes:
    return expand(secret, b"sealrpc1 update", 32)


def application_key(exporter: bytes, label: bytes, context: bytes, length: int) -> bytes:
    return expand(exporter, lp(label) + lp(context) + u16(length), length)


def leaf(client_hello: bytes) -> bytes:
    return sha256(b"\x00" + labeled_hash("sealrpc1 hello", client_hello)).digest()


def root(node: bytes, path: Sequence[bytes], index: int) -> bytes:
    """The root of the Merkle tree that has `node` as its leaf number `index`."""
    for sibling in path:
        left, right = (sibling, node) if index & 1 else (node, sibling)
        node = sha256(b"\x01" + left + right).digest()
        index >>= 1
    return node
