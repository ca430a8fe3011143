"""The types that users see, checked by mypy and pyright; never run."""

from typing import assert_type

from token_authority_client import (
    AsyncSessionSource,
    AsyncTokenAuthorityClient,
    AsyncTokenSource,
    AuthorityInfo,
    Decision,
    Inspection,
    IssuedToken,
    Session,
    SessionSource,
    SigningKey,
    TokenAuthorityClient,
    TokenRequest,
    TokenSource,
    prepare,
)


def blocking(client: TokenAuthorityClient) -> None:
    assert_type(client.issue_rtc_token(channel="c", uid=7, role="publisher"), IssuedToken)
    assert_type(client.issue_whiteboard_token(room="r", role="writer"), IssuedToken)
    assert_type(client.issue_rtm_token(user_id="u"), IssuedToken)
    assert_type(client.issue_chat_token(app=True), IssuedToken)
    assert_type(client.issue_education_token(app=True), IssuedToken)
    assert_type(client.issue_access_token(services=[]), IssuedToken)
    request = prepare.issue_rtc_token(channel="c", uid=7, role="publisher")
    assert_type(request, TokenRequest)
    assert_type(client.issue(request), IssuedToken)
    assert_type(client.issue_many([request], chunk_size=100), list[IssuedToken])
    assert_type(client.validate_only.issue_chat_token(app=True), Decision)
    assert_type(client.validate_only.issue_many([request]), list[Decision])
    assert_type(client.issue_session(channel="c", uid=7, role="publisher"), Session)
    sessions = client.session_source(channel="c", uid=7, role="publisher")
    assert_type(sessions, SessionSource)
    assert_type(sessions.get(), Session)
    assert_type(client.inspect_token("t"), Inspection)
    assert_type(client.get_authority_info(), AuthorityInfo)
    assert_type(client.list_signing_keys(), list[SigningKey])
    assert_type(client.with_options(timeout=2.5), TokenAuthorityClient)
    assert_type(client.token_source(request), TokenSource)
    source = client.rtc_token_source(channel="c", uid=7, role="publisher")
    assert_type(source, TokenSource)
    assert_type(source.get(), IssuedToken)
    assert_type(client.whiteboard_token_source(room="r", role="writer"), TokenSource)
    assert_type(client.rtm_token_source(user_id="u"), TokenSource)
    assert_type(client.chat_token_source(app=True), TokenSource)
    assert_type(client.education_token_source(app=True), TokenSource)
    assert_type(client.access_token_source(services=[]), TokenSource)


async def awaiting(client: AsyncTokenAuthorityClient) -> None:
    assert_type(await client.issue_rtc_token(channel="c", uid=7, role="publisher"), IssuedToken)
    assert_type(await client.issue_whiteboard_token(room="r", role="writer"), IssuedToken)
    assert_type(await client.issue_rtm_token(user_id="u"), IssuedToken)
    assert_type(await client.issue_chat_token(app=True), IssuedToken)
    assert_type(await client.issue_education_token(app=True), IssuedToken)
    assert_type(await client.issue_access_token(services=[]), IssuedToken)
    request = prepare.issue_chat_token(app=True)
    assert_type(await client.issue(request), IssuedToken)
    assert_type(await client.issue_many([request]), list[IssuedToken])
    assert_type(await client.validate_only.issue(request), Decision)
    assert_type(await client.validate_only.issue_many([request]), list[Decision])
    assert_type(await client.issue_session(channel="c", uid=7, role="publisher"), Session)
    sessions = client.session_source(channel="c", uid=7, role="publisher")
    assert_type(sessions, AsyncSessionSource)
    assert_type(await sessions.get(), Session)
    assert_type(await client.inspect_token("t"), Inspection)
    assert_type(await client.get_authority_info(), AuthorityInfo)
    assert_type(await client.list_signing_keys(), list[SigningKey])
    assert_type(client.token_source(request), AsyncTokenSource)
    source = client.rtc_token_source(channel="c", uid=7, role="publisher")
    assert_type(source, AsyncTokenSource)
    assert_type(await source.get(), IssuedToken)
    assert_type(client.whiteboard_token_source(room="r", role="writer"), AsyncTokenSource)
    assert_type(client.rtm_token_source(user_id="u"), AsyncTokenSource)
    assert_type(client.chat_token_source(app=True), AsyncTokenSource)
    assert_type(client.education_token_source(app=True), AsyncTokenSource)
    assert_type(client.access_token_source(services=[]), AsyncTokenSource)
