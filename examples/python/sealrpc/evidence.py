"""Verification of a Nitro Enclaves attestation document: docs/protocol.md, appendix A.

The functions are its sections, in its order, and raise AttestationError with the codes given there.
Nothing is returned before all have passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from .certificates import Certificate, verify_chain, verify_time
from .errors import AttestationError
from .strict_cbor import Reader

AWS_ROOT_SHA256 = bytes.fromhex("641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B")
"""Of the DER of the commercial partition's root."""

_PROTECTED = bytes.fromhex("44A1013822")  # ES384 and nothing else
_P384_ORDER = 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D
_MODULE_ID = re.compile(r"(i-[0-9a-f]{17})-enc[0-9a-f]{16}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_OPTIONAL = {"public_key", "user_data", "nonce"}
_FIELDS = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", *_OPTIONAL}
_PINNABLE = (0, 1, 2, 3, 4, 8)


@dataclass(frozen=True)
class Claims:
    """What a verified document says (A.10)."""

    module_id: str
    timestamp_ms: int
    pcrs: dict[int, bytes]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


@dataclass(frozen=True)
class Policy:
    """Which enclaves are admitted (A.1)."""

    reference_values: Sequence[dict[int, bytes]]
    """Any of these sets must match; PCR0 is in each of them."""
    max_age_ms: int = 300_000
    root_sha256: bytes = AWS_ROOT_SHA256
    future_skew_ms: int = 300_000

    def __post_init__(self) -> None:
        if not self.reference_values:
            raise ValueError("a policy without reference values would admit everything")
        for values in self.reference_values:
            if 0 not in values or not set(values) <= set(_PINNABLE):
                raise ValueError(f"reference values are for PCR0 and some of {_PINNABLE}")
            if any(len(value) != 48 or not any(value) for value in values.values()):
                raise ValueError("a reference value is 48 bytes, and not all zero")

    @staticmethod
    def from_file(path: str | Path, *, admit_test_root: bool = False) -> Policy:
        """The policy file of the other programs. A root of a simulator must be asked for: whoever
        has its key can make evidence of anything."""
        return Policy.of(json.loads(Path(path).read_text()), admit_test_root=admit_test_root)

    @staticmethod
    def of(keys: dict[str, Any], *, admit_test_root: bool = False) -> Policy:
        unknown = set(keys) - {"referenceValues", "maxAgeMs", "insecureTestRoot"}
        if unknown:
            raise ValueError(f"keys of the policy that are not known here: {sorted(unknown)}")
        options: dict[str, Any] = {}
        if "maxAgeMs" in keys:
            options["max_age_ms"] = int(keys["maxAgeMs"])
        if "insecureTestRoot" in keys:
            if not admit_test_root:
                raise ValueError("the policy is for a simulator, and nobody asked for that")
            root = load_pem_x509_certificate(keys["insecureTestRoot"].encode())
            options["root_sha256"] = sha256(root.public_bytes(Encoding.DER)).digest()
        sets = keys.get("referenceValues", [])
        return Policy([_reference_values(values) for values in sets], **options)


def verify(evidence: bytes, policy: Policy, challenge: bytes | None, now: float) -> Claims:
    """The claims of a document that `policy` admits and that was made for `challenge`.

    A handshake always has a challenge; None is for documents that were kept.

    `now` is seconds since 1970, of this machine's clock: never a time that the document gives.
    """
    if challenge is not None and len(challenge) < 16:
        raise ValueError("a challenge has at least 16 bytes")
    payload, signature = _open_envelope(evidence)
    fields = _parse_payload(payload)
    claims = _read_fields(fields)
    chain = verify_chain(fields["cabundle"], fields["certificate"], policy.root_sha256)
    verify_time(chain, now)
    _verify_signature(chain[-1], payload, signature)
    _verify_instance(claims, chain[-1])
    _appraise(claims, policy, challenge, round(now * 1000))
    return claims


def _open_envelope(evidence: bytes) -> tuple[bytes, tuple[int, int]]:
    """A.2: COSE_Sign1, with two of its four items compared byte for byte."""
    _require(1 <= len(evidence) <= 20_000, "the evidence has no allowed length")
    reader = Reader(evidence)
    reader.skip(b"\xd2")
    _require(reader.skip(b"\x84" + _PROTECTED + b"\xa0"), "no COSE_Sign1 with ES384")
    try:
        payload, signature = reader.byte_string(), reader.byte_string()
        reader.end()
    except ValueError as error:
        raise _malformed(f"the envelope does not parse: {error}") from error
    _require(1 <= len(payload) <= 16_384 and len(signature) == 96, "lengths of payload, signature")
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    if not (0 < r < _P384_ORDER and 0 < s < _P384_ORDER):
        raise AttestationError("bad-signature", "the signature is out of range")
    return payload, (r, s)


def _parse_payload(payload: bytes) -> dict[str, Any]:
    """A.3."""
    try:
        fields = Reader(payload).document()
    except ValueError as error:
        raise _malformed(f"the payload does not parse: {error}") from error
    _require(set(fields) <= {*_FIELDS, "nitrotpm_pcrs"}, "the payload has an unknown field")
    return fields


def _read_fields(fields: dict[str, Any]) -> Claims:
    """A.4."""
    if "nitrotpm_pcrs" in fields:
        raise AttestationError("not-an-enclave", "a document of NitroTPM")
    _require(_FIELDS - _OPTIONAL <= set(fields), "a field is missing")
    module_id, timestamp, pcrs = fields["module_id"], fields["timestamp"], fields["pcrs"]
    _require(isinstance(module_id, str) and 1 <= len(module_id) <= 256, "module_id")
    _require(fields["digest"] == "SHA384", "digest")
    _require(isinstance(timestamp, int) and 1 <= timestamp < 2**53, "timestamp")
    _require(isinstance(pcrs, dict) and 1 <= len(pcrs) <= 32 and 0 in pcrs, "pcrs")
    for index, value in pcrs.items():
        _require(isinstance(index, int) and 0 <= index <= 31 and _is_bytes(value, 48, 48), "a PCR")
    _require(_is_bytes(fields["certificate"]), "certificate")
    cabundle = fields["cabundle"]
    _require(isinstance(cabundle, list) and 1 <= len(cabundle) <= 8, "cabundle")
    _require(all(map(_is_bytes, cabundle)), "cabundle")
    for name in _OPTIONAL:
        _require(fields.get(name) is None or _is_bytes(fields[name], 0), name)
    optional = {name: fields.get(name) for name in _OPTIONAL}
    return Claims(module_id=module_id, timestamp_ms=timestamp, pcrs=pcrs, **optional)


def _verify_signature(leaf: Certificate, payload: bytes, signature: tuple[int, int]) -> None:
    """A.7."""
    length = len(payload)
    head = bytes([0x58, length]) if length < 256 else b"\x59" + length.to_bytes(2, "big")
    if length < 24:
        head = bytes([0x40 + length])
    signed = b"\x84\x6aSignature1" + _PROTECTED + b"\x40" + head + payload
    try:
        leaf.public_key.verify(encode_dss_signature(*signature), signed, ECDSA(SHA384()))
    except InvalidSignature as error:
        raise AttestationError("bad-signature", "not signed by its certificate") from error


def _verify_instance(claims: Claims, leaf: Certificate) -> None:
    """A.8: instance, certificate and PCR4 agree."""
    match = _MODULE_ID.fullmatch(claims.module_id)
    if match is None:
        raise AttestationError("not-an-enclave", "module_id is not that of an enclave")
    name = leaf.common_names[0] if len(leaf.common_names) == 1 else ""
    region = str(name).removeprefix(claims.module_id + ".").removesuffix(".aws")
    issued_ms = range(int(leaf.not_before * 1000), int(leaf.not_after * 1000) + 1)
    if (
        name != f"{claims.module_id}.{region}.aws"
        or not _REGION.fullmatch(region)
        or claims.pcrs.get(4) != sha384(bytes(48) + match[1].encode()).digest()
        or claims.timestamp_ms not in issued_ms
    ):
        raise AttestationError("instance-mismatch", "instance, certificate and PCR4 disagree")


def _appraise(claims: Claims, policy: Policy, challenge: bytes | None, now_ms: int) -> None:
    """A.9. What `user_data` must be is checked by the handshake."""
    if any(index in claims.pcrs and not any(claims.pcrs[index]) for index in (0, 1, 2)):
        raise AttestationError("debug-enclave", "the enclave runs in debug mode")
    if not any(values.items() <= claims.pcrs.items() for values in policy.reference_values):
        raise AttestationError("measurement-mismatch", "the policy does not admit this enclave")
    if challenge is not None and claims.nonce != challenge:
        raise AttestationError("challenge-mismatch", "made for another handshake")
    if not -policy.future_skew_ms <= now_ms - claims.timestamp_ms <= policy.max_age_ms:
        raise AttestationError("stale-evidence", "too old, or from the future: check the clock")


def _reference_values(values: dict[str, str]) -> dict[int, bytes]:
    return {int(name.removeprefix("pcr")): bytes.fromhex(value) for name, value in values.items()}


def _is_bytes(value: Any, least: int = 1, most: int = 1024) -> bool:
    return isinstance(value, bytes) and least <= len(value) <= most


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _malformed(f"{message}: not as it must be")


def _malformed(message: str) -> AttestationError:
    return AttestationError("malformed-evidence", message)
