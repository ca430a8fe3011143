"""Django: a view that returns an RTC token to the browser of a signed-in user.

urlpatterns = [path("channels/<str:channel>/token", rtc_token)]

Server, TLS and credential come from the environment variables of the command line, such as
TOKEN_AUTHORITY_TARGET, TOKEN_AUTHORITY_CA and TOKEN_AUTHORITY_TOKEN_FILE.
"""

import logging
import math
from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from token_authority_client import (
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    TokenAuthorityClient,
    TokenAuthorityError,
)

_LOGGER = logging.getLogger(__name__)


@cache
def token_authority() -> TokenAuthorityClient:
    """Returns the one client of this process, for all its threads.

    It is created at the first request, so after a preforking server has forked its workers.
    """
    return TokenAuthorityClient()


@require_GET
@never_cache
def rtc_token(request: HttpRequest, channel: str) -> HttpResponse:
    """Issues the token. Check here whether this user may join this channel."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    uid = request.user.pk
    try:
        issued = token_authority().issue_rtc_token(channel=channel, uid=uid, role="publisher")
    except TokenAuthorityError as error:
        return _error_response(error)
    return JsonResponse({"token": issued.token, "uid": uid, "renew_time": issued.renew_time})


def _error_response(error: TokenAuthorityError) -> HttpResponse:
    """Logs an error and returns its HTTP status; the error's text is not for browsers.

    4xx: this user's request cannot succeed now. 5xx: the operators have to act.
    """
    status = 503
    if isinstance(error, InvalidRequest):
        status = 400
    elif isinstance(error, PermissionDenied):
        status = 403
    elif isinstance(error, RateLimited):
        status = 429
    log = _LOGGER.warning if status < 500 else _LOGGER.error
    log("no RTC token: %s [%s %s]", error, error.code, error.reason)
    response = HttpResponse(status=status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    return response
