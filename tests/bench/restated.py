"""A restatement of Agora's Python builder of RTC 007 tokens, step for step, as a yardstick."""

import base64
import hashlib
import hmac
import secrets
import struct
import time
import zlib
from collections import OrderedDict


def _uint16(number: int) -> bytes:
    return struct.pack("<H", int(number))


def _uint32(number: int) -> bytes:
    return struct.pack("<I", int(number))


def _string(text: str | bytes) -> bytes:
    data = text.encode("utf-8") if isinstance(text, str) else text
    return _uint16(len(data)) + data


def _map(privileges: dict[int, int]) -> bytes:
    ordered = OrderedDict(sorted(privileges.items(), key=lambda item: int(item[0])))
    packed = [_uint16(key) + _uint32(value) for key, value in ordered.items()]
    return _uint16(len(ordered)) + b"".join(packed)


def _is_uuid(text: str) -> bool:
    if len(text) != 32:
        return False
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


class _Service:
    def __init__(self, service_type: int) -> None:
        self.service_type = service_type
        self.privileges: dict[int, int] = {}

    def add_privilege(self, privilege: int, expire: int) -> None:
        self.privileges[privilege] = expire

    def pack(self) -> bytes:
        return _uint16(self.service_type) + _map(self.privileges)


class _ServiceRtc(_Service):
    def __init__(self, channel_name: str, uid: int) -> None:
        super().__init__(1)
        self.channel_name = channel_name.encode("utf-8")
        self.uid = b"" if uid == 0 else str(uid).encode("utf-8")

    def pack(self) -> bytes:
        return super().pack() + _string(self.channel_name) + _string(self.uid)


class _AccessToken:
    def __init__(self, app_id: str, app_certificate: str, expire: int) -> None:
        self.app_id, self.app_certificate = app_id, app_certificate
        self.issue_ts = int(time.time())
        self.expire = expire
        self.salt = secrets.SystemRandom().randint(1, 99999999)
        self.services: list[_Service] = []

    def _signing(self) -> bytes:
        key = hmac.new(_uint32(self.issue_ts), self.app_certificate.encode(), hashlib.sha256)
        return hmac.new(_uint32(self.salt), key.digest(), hashlib.sha256).digest()

    def build(self) -> str:
        if not (_is_uuid(self.app_id) and _is_uuid(self.app_certificate) and self.services):
            return ""
        signing = self._signing()
        info = (
            _string(self.app_id)
            + _uint32(self.issue_ts)
            + _uint32(self.expire)
            + _uint32(self.salt)
            + _uint16(len(self.services))
        )
        for service in sorted(self.services, key=lambda service: service.service_type):
            info += service.pack()
        signature = hmac.new(signing, info, hashlib.sha256).digest()
        return "007" + base64.b64encode(zlib.compress(_string(signature) + info)).decode("utf-8")


def rtc_token(app_id: str, certificate: str, channel: str, uid: int, expire: int) -> str:
    """Builds an RTC 007 token for a publisher."""
    token = _AccessToken(app_id, certificate, expire)
    service = _ServiceRtc(channel, uid)
    for privilege in (1, 2, 3, 4):
        service.add_privilege(privilege, expire)
    token.services.append(service)
    return token.build()
