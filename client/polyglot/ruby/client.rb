# frozen_string_literal: true

# Asks a token authority for two tokens, and for one that it refuses. The environment has
# TOKEN_AUTHORITY_TARGET (HOST:PORT), TOKEN_AUTHORITY_CA (a PEM file) and TOKEN_AUTHORITY_API_KEY.

$LOAD_PATH.unshift(File.join(__dir__, 'gen'))

require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'grpc'
require 'json'
require 'token_authority/v1/token_service_services_pb'

V1 = TokenAuthority::V1
HOUR = Google::Protobuf::Duration.new(seconds: 3600)

# Retries, load balancing and health checks, as in all languages (client/service_config.json).
SERVICE_CONFIG = File.read(File.join(__dir__, 'gen/service_config.json')).freeze

# The reason of a refusal and its first violation, out of the google.rpc.Status in the trailers.
def explain(error)
  details = error.to_rpc_status&.details.to_a
  info = details.filter_map { |detail| detail.unpack(Google::Rpc::ErrorInfo) }.first
  request = details.filter_map { |detail| detail.unpack(Google::Rpc::BadRequest) }.first
  violation = request&.field_violations&.first
  code = GRPC::Core::StatusCodes.constants.find do |name|
    GRPC::Core::StatusCodes.const_get(name) == error.code
  end
  { code: code, reason: info&.reason, field: violation&.field, violation: violation&.reason }
end

stub = V1::TokenService::Stub.new(
  ENV.fetch('TOKEN_AUTHORITY_TARGET'),
  GRPC::Core::ChannelCredentials.new(File.read(ENV.fetch('TOKEN_AUTHORITY_CA'))),
  channel_args: { 'grpc.service_config' => SERVICE_CONFIG },
  timeout: 5 # seconds, for all attempts at a call together
)
key = { metadata: { 'authorization' => "Bearer #{ENV.fetch('TOKEN_AUTHORITY_API_KEY')}" } }

begin
  whiteboard = stub.issue_whiteboard_token(
    V1::IssueWhiteboardTokenRequest.new(
      room: V1::WhiteboardRoomScope.new(room_uuid: '4a50cb3b6a0c4b5e'),
      role: :WHITEBOARD_ROLE_WRITER, ttl: HOUR
    ), **key
  )
  rtc = stub.issue_rtc_token(
    V1::IssueRtcTokenRequest.new(
      channel_name: 'lesson-1', uid: 7, role: :RTC_ROLE_PUBLISHER, ttl: HOUR
    ), **key
  )
rescue GRPC::BadStatus => e
  abort("#{e.details} #{explain(e)}")
end

begin
  # 0 is not a uid; a token for anyone must be requested explicitly.
  stub.issue_rtc_token(
    V1::IssueRtcTokenRequest.new(channel_name: 'lesson-1', uid: 0, role: :RTC_ROLE_PUBLISHER), **key
  )
  abort('uid 0 was not refused')
rescue GRPC::InvalidArgument => e
  refused = explain(e)
end

puts JSON.generate(
  whiteboard_token: whiteboard.issued_token.token,
  rtc_token: rtc.issued_token.token,
  refused: refused,
  parsed: nil, # Agora publishes no library for Ruby that could read the token
  verified_by: ''
)
