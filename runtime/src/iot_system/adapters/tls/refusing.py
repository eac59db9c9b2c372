"""Why a TLS handshake failed, in one sentence."""

from __future__ import annotations

import ssl

from iot_system.errors import reason_of

_SENTENCES = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client shows no certificate, and this port requires one",
    "WRONG_VERSION_NUMBER": "the client does not speak TLS, and this port speaks nothing else",
    "RECORD_LAYER_FAILURE": "the client does not speak TLS, and this port speaks nothing else",
    "UNKNOWN_PROTOCOL": "the client does not speak TLS, and this port speaks nothing else",
    "HTTP_REQUEST": "the client speaks HTTP without TLS, and this port speaks HTTPS alone",
    "UNSUPPORTED_PROTOCOL": "the client speaks an old version of TLS; 1.2 is the oldest that is good",
    "NO_SHARED_CIPHER": "the client and this server have no cipher in common",
}
_ALERTS = {
    "UNKNOWN_CA": "the client does not know who signed this server's certificate",
    "BAD_CERTIFICATE": "the client does not accept this server's certificate",
    "CERTIFICATE_UNKNOWN": "the client does not accept this server's certificate",
    "CERTIFICATE_EXPIRED": "the client says that this server's certificate has expired",
}
_BAD_SIGNER = "the client's certificate is not signed by a CA that is known here"
_VERIFICATION = {
    10: "the client's certificate has expired",
    9: "the client's certificate is not valid yet",
    18: _BAD_SIGNER,
    19: _BAD_SIGNER,
    20: _BAD_SIGNER,
    21: _BAD_SIGNER,
    7: _BAD_SIGNER,
    26: "the client's certificate is not made for clients (extended key usage)",
}
"""By OpenSSL's X509_V_ERR_…."""


def sentence_of(error: Exception) -> str:
    """For the log; bears nothing that the client has sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFICATION.get(error.verify_code, f"the client's certificate is refused: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if (known := _SENTENCES.get(reason)) is not None:
            return known
        alert = next((told for word, told in _ALERTS.items() if "ALERT" in reason and reason.endswith(word)), None)
        return alert or f"the TLS handshake failed: {reason.lower().replace('_', ' ') or type(error).__name__}"
    return f"the TLS handshake was not finished: {reason_of(error)}"
