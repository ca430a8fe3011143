package example;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import example.SessionRequest.Role;
import io.agora.media.AccessToken2;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import tokenauthority.v1.IssueRtcTokenRequest;
import tokenauthority.v1.IssueWhiteboardTokenRequest;
import tokenauthority.v1.RtcRole;
import tokenauthority.v1.TokenServiceGrpc;
import tokenauthority.v1.TokenServiceGrpc.TokenServiceBlockingStub;
import tokenauthority.v1.WhiteboardRole;
import tokenauthority.v1.WhiteboardRoomScope;

/** Gets a whiteboard token, an RTC token and sessions, and reads why others are refused. */
public final class Client {
  private static final Duration ONE_HOUR = Duration.newBuilder().setSeconds(3600).build();
  private static final Gson JSON =
      new GsonBuilder()
          .disableHtmlEscaping()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .create();

  record Refused(String code, String reason, String field, String violation) {}

  record Parsed(String channelName, String uid, String appId) {}

  record RefusedSession(String product, String code, String reason) {}

  record Shown(
      String whiteboardToken,
      String rtcToken,
      Refused refused,
      LocalRules.Broken local,
      Parsed parsed,
      String verifiedBy,
      List<Map<String, Object>> sessions,
      List<Double> renewAfterSeconds,
      List<RefusedSession> sessionsRefused) {}

  private static final SessionRequest WHOLE_SESSION =
      new SessionRequest("lesson-1", 7, Role.PUBLISHER)
          .withRtm("ada")
          .withChat("ada.l")
          .withWhiteboard("4a50cb3b6a0c4b5e")
          .withTtl(java.time.Duration.ofMinutes(20));

  private final TokenServiceBlockingStub tokens;

  private Client(ManagedChannel channel, String apiKey) {
    tokens = TokenServiceGrpc.newBlockingStub(channel).withCallCredentials(new ApiKey(apiKey));
  }

  public static void main(String[] arguments) throws Exception {
    try {
      run();
    } catch (StatusRuntimeException | IOException error) {
      System.err.println("no token: " + line(error));
      System.exit(1);
    }
  }

  private static void run() throws Exception {
    var channel = connect(variable("TOKEN_AUTHORITY_TARGET"), variable("TOKEN_AUTHORITY_CA"));
    try {
      var client = new Client(channel, variable("TOKEN_AUTHORITY_API_KEY"));
      System.out.println(JSON.toJson(client.show()));
    } finally {
      channel.shutdownNow();
    }
  }

  private static ManagedChannel connect(String target, String certificates) throws IOException {
    // Only the given authority is trusted; leave trustManager out to trust the system's.
    var tls = TlsChannelCredentials.newBuilder().trustManager(new File(certificates)).build();
    return Grpc.newChannelBuilder(target, tls).defaultServiceConfig(serviceConfig()).build();
  }

  /** Reads retries and load balancing, as in all languages, from client/service_config.json. */
  private static Map<String, ?> serviceConfig() throws IOException {
    try (var file = Client.class.getResourceAsStream("/service_config.json")) {
      var text = new String(file.readAllBytes(), StandardCharsets.UTF_8);
      return JSON.<Map<String, ?>>fromJson(text, Map.class);
    }
  }

  private Shown show() throws Exception {
    var whiteboard = IssueWhiteboardTokenRequest.newBuilder();
    whiteboard.setRoom(WhiteboardRoomScope.newBuilder().setRoomUuid("4a50cb3b6a0c4b5e"));
    whiteboard.setRole(WhiteboardRole.WHITEBOARD_ROLE_WRITER).setTtl(ONE_HOUR);
    var whiteboardToken =
        soon().issueWhiteboardToken(whiteboard.build()).getIssuedToken().getToken();

    var rtcToken = soon().issueRtcToken(rtc(7)).getIssuedToken().getToken();

    var sessions = sessions();
    var bad = rtc(0);
    return new Shown(
        whiteboardToken,
        rtcToken,
        refusal(bad),
        new LocalRules().check(bad).orElseThrow(),
        parsed(rtcToken),
        agoraVersion(),
        sessions.stream().map(Session::toMap).toList(),
        sessions.stream().map(session -> session.renewAfter().toMillis() / 1000.0).toList(),
        List.of(
            refusedSession(WHOLE_SESSION.withWhiteboard("0000000000000000")),
            refusedSession(WHOLE_SESSION.withRtm("é"))));
  }

  private List<Session> sessions() throws SessionException {
    var sessions = new ArrayList<Session>();
    for (var request :
        List.of(
            WHOLE_SESSION,
            new SessionRequest("lesson-1", 4294967295L, Role.SUBSCRIBER),
            // A grant shortens the token for this room, and so all of them.
            new SessionRequest("lesson-1", 7, Role.SUBSCRIBER)
                .withWhiteboard("5b61dc4c7b1d5c6f"))) {
      var session = Sessions.issue(soon(), request);
      System.err.println(session); // contains no token
      sessions.add(session);
    }
    return sessions;
  }

  private RefusedSession refusedSession(SessionRequest request)
      throws InvalidProtocolBufferException {
    try {
      Sessions.issue(soon(), request);
    } catch (SessionException error) {
      return new RefusedSession(
          error.product(),
          error.getCause().getStatus().getCode().name(),
          detail(error.getCause(), ErrorInfo.class).getReason());
    }
    throw new IllegalStateException("the session was not refused");
  }

  /** Returns stubs whose next call has five seconds: without a deadline it could wait for ever. */
  private TokenServiceBlockingStub soon() {
    return tokens.withDeadlineAfter(5, TimeUnit.SECONDS);
  }

  private static IssueRtcTokenRequest rtc(long uid) {
    return IssueRtcTokenRequest.newBuilder()
        .setChannelName("lesson-1")
        .setUid(uid)
        .setRole(RtcRole.RTC_ROLE_PUBLISHER)
        .setTtl(ONE_HOUR)
        .build();
  }

  private Refused refusal(IssueRtcTokenRequest request) throws InvalidProtocolBufferException {
    try {
      soon().issueRtcToken(request);
    } catch (StatusRuntimeException error) {
      // The details of a refusal come beside its code and its text, which is for people.
      var info = detail(error, ErrorInfo.class);
      var violations = detail(error, BadRequest.class).getFieldViolationsList();
      var violation =
          violations.isEmpty() ? FieldViolation.getDefaultInstance() : violations.get(0);
      return new Refused(
          Status.fromThrowable(error).getCode().name(),
          info.getReason(),
          violation.getField(),
          violation.getReason());
    }
    throw new IllegalStateException("the request was not refused");
  }

  private static <T extends Message> T detail(StatusRuntimeException error, Class<T> type)
      throws InvalidProtocolBufferException {
    var status = StatusProto.fromThrowable(error);
    for (Any detail : status.getDetailsList()) {
      if (detail.is(type)) {
        return detail.unpack(type);
      }
    }
    // Not from the token authority, but from something in between: a proxy, or grpc itself.
    throw error;
  }

  /** Reads a token with Agora's own library, as Agora would. */
  private static Parsed parsed(String token) {
    var read = new AccessToken2();
    if (!read.parse(token)) {
      throw new IllegalStateException("Agora's library cannot read the token");
    }
    // Not read.getService(…), which makes an empty one.
    var service = (AccessToken2.ServiceRtc) read.services.get(AccessToken2.SERVICE_TYPE_RTC);
    return new Parsed(service.getChannelName(), service.getUid(), read.appId);
  }

  private static String agoraVersion() throws IOException {
    var properties = new Properties();
    var path = "/META-INF/maven/io.agora/authentication/pom.properties";
    try (var file = AccessToken2.class.getResourceAsStream(path)) {
      properties.load(file);
    }
    return "io.agora:authentication " + properties.getProperty("version");
  }

  /** Puts a failure into one line: what is wrong with TLS is only said by the deepest cause. */
  private static String line(Exception error) {
    Throwable cause = error;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    var first = error.getMessage().lines().findFirst().orElse("");
    return cause == error ? first : first + ": " + cause.getMessage();
  }

  private static String variable(String name) {
    var value = System.getenv(name);
    if (value == null || value.isEmpty()) {
      System.err.println("set " + name);
      System.exit(2);
    }
    return value;
  }
}
