"""Certificates and chains as docs/protocol.md §A.5 and §A.6 allow them.

`cryptography` parses what has a meaning; what must have one exact form is compared as bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import NameOID

from .errors import AttestationError

_ECDSA_WITH_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
_VERSION_3 = bytes.fromhex("a003020102")
_P384_POINT = bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004")
_E = TypeVar("_E", bound=x509.ExtensionType)
_UNREADABLE = (
    ValueError,
    IndexError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
)
_GENERALIZED_TIME = 0x18
_ONCE = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
_KNOWN = (x509.BasicConstraints.oid, x509.KeyUsage.oid)


class Certificate:
    """One certificate of a chain. Raises ValueError for what A.5 step 2 refuses."""

    def __init__(self, der: bytes) -> None:
        parsed = x509.load_der_x509_certificate(der)
        tbs = _children(_children(der)[0])
        outer = _children(der)
        if len(outer) != 3 or len(tbs) != 8 or tbs[0] != _VERSION_3:
            raise ValueError("no certificate of version 3")
        if _content(outer[2])[0] != 0:
            raise ValueError("unused bits in the signature")
        if outer[1] != _ECDSA_WITH_SHA384 or tbs[2] != _ECDSA_WITH_SHA384:
            raise ValueError("not signed by ecdsa-with-SHA384")
        if len(tbs[6]) != 120 or not tbs[6].startswith(_P384_POINT):
            raise ValueError("no uncompressed point on P-384")
        serial = _content(tbs[1])
        if serial[0] >= 0x80 or not any(serial) or len(serial.lstrip(b"\0")) > 20:
            raise ValueError("no positive serial number of at most 20 bytes")
        for time in _children(tbs[4]):
            if time[0] == _GENERALIZED_TIME and int(_content(time)[:4]) < 2050:
                raise ValueError("GeneralizedTime of a year before 2050")
        for name in (parsed.issuer, parsed.subject):
            if not name.rdns or any(len(name.get_attributes_for_oid(o)) > 1 for o in _ONCE):
                raise ValueError("a name that is empty, or has a part twice")
        public_key = parsed.public_key()
        if not isinstance(public_key, EllipticCurvePublicKey):
            raise ValueError("no key on P-384")
        encodings = _children(_children(tbs[7])[0])
        # `parsed.extensions` refuses one that occurs twice.
        for extension, encoding in zip(parsed.extensions, encodings, strict=True):
            if extension.oid in _KNOWN:
                if _content(_children(encoding)[-1]) != extension.value.public_bytes():
                    raise ValueError("an extension that is not encoded as DER demands")
            elif extension.critical or extension.oid == x509.NameConstraints.oid:
                raise ValueError("an extension that is not allowed")
        self.der, self.public_key = der, public_key
        self.issuer, self.subject = tbs[3], tbs[5]
        self.not_before = parsed.not_valid_before_utc.timestamp()
        self.not_after = parsed.not_valid_after_utc.timestamp()
        self.common_names = [
            name.value for name in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
        self._parsed = parsed

    def is_signed_by(self, issuer: Certificate) -> bool:
        signed = self._parsed.signature, self._parsed.tbs_certificate_bytes
        try:
            issuer.public_key.verify(*signed, ECDSA(SHA384()))
        except InvalidSignature:
            return False
        return self.issuer == issuer.subject and self.issuer != self.subject

    def may_sign(self, cas_below: int) -> bool:
        """As a CA with this many CA certificates between itself and the leaf."""
        constraints, usage = self._extension(x509.BasicConstraints), self._key_usage()
        return (
            constraints is not None
            and constraints.critical
            and constraints.value.ca
            and _at_least(constraints.value.path_length, cas_below)
            and usage is not None
            and usage.key_cert_sign
        )

    def is_leaf(self) -> bool:
        constraints, usage = self._extension(x509.BasicConstraints), self._key_usage()
        is_ca = constraints is not None and (
            constraints.value.ca or constraints.value.path_length is not None
        )
        return not is_ca and usage is not None and usage.digital_signature

    def _key_usage(self) -> x509.KeyUsage | None:
        usage = self._extension(x509.KeyUsage)
        return usage.value if usage else None

    def _extension(self, kind: type[_E]) -> x509.Extension[_E] | None:
        try:
            return self._parsed.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None


def verify_chain(cabundle: Sequence[bytes], leaf: bytes, root_sha256: bytes) -> list[Certificate]:
    """A.5: the chain in the order in which it came, never searched."""
    if sha256(cabundle[0]).digest() != root_sha256:
        raise AttestationError("untrusted-chain", "the chain does not begin with the root")
    try:
        chain = [Certificate(der) for der in (*cabundle, leaf)]
        for issuer, certificate in zip(chain, chain[1:], strict=False):
            if not certificate.is_signed_by(issuer):
                raise ValueError("a certificate is not signed by the one before")
        for index, certificate in enumerate(chain[:-1]):
            if not certificate.may_sign(cas_below=len(cabundle) - 1 - index):
                raise ValueError("a certificate is not that of a CA")
        if not chain[-1].is_leaf():
            raise ValueError("the last certificate may not sign documents")
    except _UNREADABLE as error:
        raise AttestationError("untrusted-chain", f"the chain is not trusted: {error}") from error
    return chain


def verify_time(chain: Sequence[Certificate], now: float, leeway_seconds: float = 60) -> None:
    """A.6, with `now` in seconds since 1970."""
    for certificate in chain:
        if now > certificate.not_after:
            raise AttestationError("certificate-expired", "a certificate has ended")
        if now < certificate.not_before - leeway_seconds:
            raise AttestationError("certificate-not-yet-valid", "a certificate has not begun")


def _at_least(path_length: int | None, cas_below: int) -> bool:
    return path_length is None or cas_below <= path_length < 256


def _children(der: bytes) -> list[bytes]:
    """The elements inside one that `cryptography` has found to be strict DER."""
    children, at = [], _header_bytes(der)
    while at < len(der):
        end = at + _element_bytes(der[at:])
        children.append(der[at:end])
        at = end
    return children


def _content(der: bytes) -> bytes:
    return der[_header_bytes(der) :]


def _header_bytes(der: bytes) -> int:
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)


def _element_bytes(der: bytes) -> int:
    header = _header_bytes(der)
    return header + (int.from_bytes(der[2:header], "big") if header > 2 else der[1])
