"""Django: a view that hands the browser of a signed-in user its RTC token.

urlpatterns = [path("channels/<str:channel>/token", rtc_token)]
"""

import os
from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from token_authority_client import (
    DEFAULT_TARGET,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    TokenAuthorityClient,
    TokenAuthorityError,
)


@cache
def token_authority() -> TokenAuthorityClient:
    """Returns the one client of this process, for all its threads.

    It is made at the first request: made before the server forks its workers, it would hang there.
    """
    return TokenAuthorityClient(os.environ.get("TOKEN_AUTHORITY_TARGET", DEFAULT_TARGET))


@require_GET
@never_cache
def rtc_token(request: HttpRequest, channel: str) -> HttpResponse:
    """Issues the token; whether this user may join this channel is yours to check."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    uid = request.user.pk
    try:
        issued = token_authority().issue_rtc_token(channel=channel, uid=uid, role="publisher")
    except TokenAuthorityError as error:
        return _refused(error)
    return JsonResponse({"token": issued.token, "uid": uid, "renew_time": issued.renew_time})


def _refused(error: TokenAuthorityError) -> HttpResponse:
    """Answers with a status of HTTP; the error's text is for the log, not for browsers."""
    if isinstance(error, InvalidRequest):
        return HttpResponse(status=400)
    if isinstance(error, PermissionDenied):
        return HttpResponse(status=403)
    response = HttpResponse(status=429 if isinstance(error, RateLimited) else 503)
    if error.retry_after is not None:
        response.headers["Retry-After"] = f"{error.retry_after.total_seconds():.0f}"
    return response
