<?php

/*
 * Asks a token authority for two tokens, and for one that it refuses. The environment has
 * TOKEN_AUTHORITY_TARGET (HOST:PORT), TOKEN_AUTHORITY_CA (a PEM file) and TOKEN_AUTHORITY_API_KEY.
 */

declare(strict_types=1);

use Google\Protobuf\Duration;
use TokenAuthority\V1\IssueRtcTokenRequest;
use TokenAuthority\V1\IssueRtcTokenResponse;
use TokenAuthority\V1\IssueWhiteboardTokenRequest;
use TokenAuthority\V1\IssueWhiteboardTokenResponse;
use TokenAuthority\V1\RtcRole;
use TokenAuthority\V1\WhiteboardRole;
use TokenAuthority\V1\WhiteboardRoomScope;

const ISSUE_WHITEBOARD = 'token_authority.v1.TokenService/IssueWhiteboardToken';
const ISSUE_RTC = 'token_authority.v1.TokenService/IssueRtcToken';

// Messages come from gen/, protobuf itself from where Debian puts it.
set_include_path(__DIR__ . '/gen' . PATH_SEPARATOR . get_include_path());
spl_autoload_register(function (string $class): void {
    $file = stream_resolve_include_path(strtr($class, '\\', '/') . '.php');
    if ($file !== false) {
        require $file;
    }
});
require __DIR__ . '/Channel.php';

function fail(string $why): never
{
    fwrite(STDERR, $why . "\n");
    exit(1);
}

/** Returns what a variable of the environment says. */
function setting(string $name): string
{
    $value = getenv($name);
    return $value !== false ? $value : fail("set {$name}");
}

$channel = new Channel(
    setting('TOKEN_AUTHORITY_TARGET'),
    setting('TOKEN_AUTHORITY_CA'),
    setting('TOKEN_AUTHORITY_API_KEY'),
);
$hour = new Duration(['seconds' => 3600]);

try {
    $whiteboard = $channel->call(ISSUE_WHITEBOARD, new IssueWhiteboardTokenRequest([
        'room' => new WhiteboardRoomScope(['room_uuid' => '4a50cb3b6a0c4b5e']),
        'role' => WhiteboardRole::WHITEBOARD_ROLE_WRITER,
        'ttl' => $hour,
    ]), IssueWhiteboardTokenResponse::class);
    $rtc = $channel->call(ISSUE_RTC, new IssueRtcTokenRequest([
        'channel_name' => 'lesson-1',
        'uid' => 7,
        'role' => RtcRole::RTC_ROLE_PUBLISHER,
        'ttl' => $hour,
    ]), IssueRtcTokenResponse::class);
} catch (GrpcError $error) {
    fail($error->getMessage() . ' ' . $error->info()?->getReason());
}

try {
    // 0 is not a uid; a token for anyone must be requested explicitly.
    $channel->call(ISSUE_RTC, new IssueRtcTokenRequest([
        'channel_name' => 'lesson-1',
        'uid' => 0,
        'role' => RtcRole::RTC_ROLE_PUBLISHER,
    ]), IssueRtcTokenResponse::class);
    fail('uid 0 was not refused');
} catch (GrpcError $error) {
    $violations = $error->badRequest()?->getFieldViolations() ?? [];
    $violation = count($violations) > 0 ? $violations[0] : null;
    $refused = [
        'code' => $error->getCode() === GrpcError::INVALID_ARGUMENT
            ? 'INVALID_ARGUMENT' : $error->getCode(),
        'reason' => $error->info()?->getReason(),
        'field' => $violation?->getField(),
        'violation' => $violation?->getReason(),
    ];
}

echo json_encode([
    'whiteboard_token' => $whiteboard->getIssuedToken()->getToken(),
    'rtc_token' => $rtc->getIssuedToken()->getToken(),
    'refused' => $refused,
    'parsed' => null, // Agora publishes no library for PHP where Debian could find it
    'verified_by' => '',
], JSON_THROW_ON_ERROR), "\n";
