"""What the API does for a Sidekick before anybody may use it: one signed claim."""
import base64
import hashlib
import json
import secrets
import string
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LIFETIME_SECONDS = 30


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def label(length):
    """A lower-case letter, then letters and digits: the form of every id."""
    rest = string.ascii_lowercase + string.digits
    return secrets.choice(string.ascii_lowercase) + "".join(secrets.choice(rest) for _ in range(length - 1))


class Claim:
    def __init__(self, document=None):
        known = document or {}
        self._seed = bytes.fromhex(known["key"]) if document else secrets.token_bytes(32)
        self.key = Ed25519PrivateKey.from_private_bytes(self._seed)
        self.member = known.get("member") or "m" + label(15)
        self.compute = known.get("compute") or label(20)
        self.secret = known.get("secret") or secrets.token_urlsafe(32)

    @property
    def document(self):
        """For another process that makes the same claim."""
        return {"key": self._seed.hex(), "member": self.member, "compute": self.compute, "secret": self.secret}

    @property
    def public_key(self):
        return base64url(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def order(self):
        """The credential for the header `X-ComputeSDK-Claim`, and the body that it is for."""
        body = json.dumps({
            "computeId": self.compute, "generation": 1, "secret": self.secret, "env": {},
            "url": f"http://localhost/s/{self.compute}",
        }).encode()
        expires = int((time.time() + LIFETIME_SECONDS) * 1000)
        lines = [self.member, self.compute, "1", str(expires), hashlib.sha256(body).hexdigest()]
        payload = "\n".join(lines).encode()
        return base64url(payload) + "." + base64url(self.key.sign(payload)), body
