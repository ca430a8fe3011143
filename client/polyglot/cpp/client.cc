// Gets a whiteboard token and an RTC token, and reads why a third request is refused.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/error_details.h>
#include <nlohmann/json.hpp>

#include "google/rpc/code.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "service_config.h"
#include "token_authority/v1/token_service.grpc.pb.h"

namespace {

namespace v1 = token_authority::v1;

constexpr int kOneHour = 3600;

// The name of a code as every language spells it: INVALID_ARGUMENT.
std::string Name(grpc::StatusCode code) {
  return google::rpc::Code_Name(static_cast<google::rpc::Code>(code));
}

// A call that was not answered.
class CallFailed : public std::runtime_error {
 public:
  explicit CallFailed(const grpc::Status& status)
      : std::runtime_error(Name(status.error_code()) + ": " + status.error_message()),
        status_(status) {}

  const grpc::Status& status() const { return status_; }

 private:
  grpc::Status status_;
};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') throw std::runtime_error(std::string("set ") + name);
  return value;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  // An empty text would mean: trust whom the system trusts.
  if (text.empty()) throw std::runtime_error("cannot read " + path);
  return text;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& target, const std::string& certificates,
                                       const std::string& api_key) {
  // Only the given authority is trusted.
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ReadFile(certificates);
  // Sends `authorization: Bearer …` with each call, and cannot be had without TLS.
  auto credentials = grpc::CompositeChannelCredentials(grpc::SslCredentials(tls),
                                                       grpc::AccessTokenCredentials(api_key));
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

// Asks for tokens; throws CallFailed.
class Client {
 public:
  explicit Client(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::TokenService::NewStub(channel)) {}

  std::string IssueWhiteboardToken(const v1::IssueWhiteboardTokenRequest& request) {
    v1::IssueWhiteboardTokenResponse answer;
    Call(&v1::TokenService::Stub::IssueWhiteboardToken, request, &answer);
    return answer.issued_token().token();
  }

  std::string IssueRtcToken(const v1::IssueRtcTokenRequest& request) {
    v1::IssueRtcTokenResponse answer;
    Call(&v1::TokenService::Stub::IssueRtcToken, request, &answer);
    return answer.issued_token().token();
  }

 private:
  template <typename Method, typename Request, typename Answer>
  void Call(Method method, const Request& request, Answer* answer) {
    grpc::ClientContext context;  // Of one call only.
    // Without a deadline it could wait for ever.
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    const grpc::Status status = (stub_.get()->*method)(&context, request, answer);
    if (!status.ok()) throw CallFailed(status);
  }

  std::unique_ptr<v1::TokenService::Stub> stub_;
};

v1::IssueWhiteboardTokenRequest WriterInRoom(const std::string& room_uuid) {
  v1::IssueWhiteboardTokenRequest request;
  request.mutable_room()->set_room_uuid(room_uuid);
  request.set_role(v1::WHITEBOARD_ROLE_WRITER);
  request.mutable_ttl()->set_seconds(kOneHour);
  return request;
}

v1::IssueRtcTokenRequest PublisherWithUid(std::int64_t uid) {
  v1::IssueRtcTokenRequest request;
  request.set_channel_name("lesson-1");
  request.set_uid(uid);
  request.set_role(v1::RTC_ROLE_PUBLISHER);
  request.mutable_ttl()->set_seconds(kOneHour);
  return request;
}

// Reads the details of a refusal, which come beside its code and its text, which is for people.
nlohmann::ordered_json Refusal(const CallFailed& failure) {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  if (grpc::ExtractErrorDetails(failure.status(), &status).ok()) {
    for (const auto& detail : status.details()) {
      if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
      if (detail.Is<google::rpc::BadRequest>()) detail.UnpackTo(&bad);
    }
  }
  // Not from the token authority, but from something in between: a proxy, or grpc itself.
  if (bad.field_violations().empty()) throw failure;
  return {
      {"code", Name(failure.status().error_code())},
      {"reason", info.reason()},
      {"field", bad.field_violations(0).field()},
      {"violation", bad.field_violations(0).reason()},
  };
}

nlohmann::ordered_json Show() {
  Client client(Connect(Variable("TOKEN_AUTHORITY_TARGET"), Variable("TOKEN_AUTHORITY_CA"),
                        Variable("TOKEN_AUTHORITY_API_KEY")));
  nlohmann::ordered_json shown;
  shown["whiteboard_token"] = client.IssueWhiteboardToken(WriterInRoom("4a50cb3b6a0c4b5e"));
  shown["rtc_token"] = client.IssueRtcToken(PublisherWithUid(7));
  try {
    client.IssueRtcToken(PublisherWithUid(0));
    throw std::runtime_error("the request was not refused");
  } catch (const CallFailed& failure) {
    shown["refused"] = Refusal(failure);
  }
  // Agora publishes its C++ code as sources only.
  shown["parsed"] = nullptr;
  shown["verified_by"] = "";
  return shown;
}

}  // namespace

int main() {
  try {
    std::cout << Show().dump() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "no token: " << error.what() << std::endl;
    return 1;
  }
}
