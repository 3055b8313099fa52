"""AWS Signature Version 4, as much of it as the bench needs: presigned addresses."""

import hashlib
import hmac
import time
from urllib.parse import quote

REGION = "us-east-1"


class Signer:
    """Signs for one host, with one key, at one time."""

    def __init__(self, host, access_key, secret_key):
        self.host = host
        self.stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.scope = f"{self.stamp[:8]}/{REGION}/s3/aws4_request"
        self.credential = quote(f"{access_key}/{self.scope}", safe="")
        self.key = f"AWS4{secret_key}".encode()
        for part in self.scope.split("/"):
            self.key = hmac.digest(self.key, part.encode(), "sha256")

    def target(self, method, bucket, key):
        """The path and query with which anybody may make this request for a while."""
        path = quote(f"/{bucket}/{key}")
        query = (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={self.credential}&X-Amz-Date={self.stamp}"
            "&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        )
        request = f"{method}\n{path}\n{query}\nhost:{self.host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.stamp}\n{self.scope}\n{digest}"
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        return f"{path}?{query}&X-Amz-Signature={signature}"
