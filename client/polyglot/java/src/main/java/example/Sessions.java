package example;

import static java.util.Comparator.naturalOrder;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tokenauthority.v1.BatchIssueTokensRequest;
import tokenauthority.v1.ChatUser;
import tokenauthority.v1.IssueChatTokenRequest;
import tokenauthority.v1.IssueRtcTokenRequest;
import tokenauthority.v1.IssueRtmTokenRequest;
import tokenauthority.v1.IssueTokenRequest;
import tokenauthority.v1.IssueWhiteboardTokenRequest;
import tokenauthority.v1.IssuedToken;
import tokenauthority.v1.RtcRole;
import tokenauthority.v1.TokenServiceGrpc.TokenServiceBlockingStub;
import tokenauthority.v1.WhiteboardRole;
import tokenauthority.v1.WhiteboardRoomScope;

/** Issues all tokens that one user needs in one channel, in one call: all or none. */
final class Sessions {
  /** The server reads its clock for each token. */
  private static final Duration TOGETHER = Duration.ofSeconds(2);

  /** Matches the path of an entry or of its field: requests[3].whiteboard, with the product. */
  private static final Pattern ENTRY = Pattern.compile("requests\\[\\d+\\]\\.(\\w+).*");

  private Sessions() {}

  /**
   * Issues a session. If a grant shortens one of its tokens, a second call issues all again with
   * that lifetime.
   *
   * @param tokens stubs whose deadline is for both calls
   * @throws SessionException a token was refused, and therefore none was issued
   * @throws StatusRuntimeException no server answered, or the error is not about one token
   */
  static Session issue(TokenServiceBlockingStub tokens, SessionRequest request)
      throws SessionException {
    var issued = issueAll(tokens, request);
    var first = earliest(issued.values(), IssuedToken::getExpireTime);
    var last = times(issued.values(), IssuedToken::getExpireTime).max(naturalOrder()).orElseThrow();
    if (Duration.between(first, last).compareTo(TOGETHER) > 0) {
      issued = issueAll(tokens, request.withTtl(shortestTtl(issued.values())));
    }
    return session(request, issued);
  }

  /** Calls the server once, and checks that it answered every entry; returns tokens by product. */
  private static Map<String, IssuedToken> issueAll(
      TokenServiceBlockingStub tokens, SessionRequest request) throws SessionException {
    var entries = entries(request);
    var batch = BatchIssueTokensRequest.newBuilder().addAllRequests(entries.values()).build();
    List<IssuedToken> answers;
    try {
      answers = tokens.batchIssueTokens(batch).getIssuedTokensList();
    } catch (StatusRuntimeException error) {
      var product = product(error);
      if (product == null) {
        throw error;
      }
      throw new SessionException(product, error);
    }
    if (answers.size() != entries.size()) {
      throw new IllegalStateException(
          "the server issued " + answers.size() + " tokens for " + entries.size() + " requests");
    }
    var issued = new LinkedHashMap<String, IssuedToken>();
    for (var product : entries.keySet()) {
      var answer = answers.get(issued.size());
      var hasTimes = answer.hasIssueTime() && answer.hasExpireTime() && answer.hasRenewTime();
      if (answer.getToken().isEmpty() || !hasTimes) {
        throw new IllegalStateException("the server's " + product + " token is incomplete");
      }
      issued.put(product, answer);
    }
    return issued;
  }

  /** Returns one request per product, in their order. */
  private static Map<String, IssueTokenRequest> entries(SessionRequest request) {
    var isPublisher = request.role() == SessionRequest.Role.PUBLISHER;
    var rtc = IssueRtcTokenRequest.newBuilder();
    rtc.setProject(request.project()).setChannelName(request.channel()).setUid(request.uid());
    rtc.setRole(isPublisher ? RtcRole.RTC_ROLE_PUBLISHER : RtcRole.RTC_ROLE_SUBSCRIBER);
    var rtm = IssueRtmTokenRequest.newBuilder().setProject(request.project());
    var chat = IssueChatTokenRequest.newBuilder().setProject(request.project());
    var board = IssueWhiteboardTokenRequest.newBuilder().setProject(request.project());
    board.setRole(
        isPublisher
            ? WhiteboardRole.WHITEBOARD_ROLE_WRITER
            : WhiteboardRole.WHITEBOARD_ROLE_READER);
    if (request.ttl() != null) {
      var ttl = com.google.protobuf.Duration.newBuilder().setSeconds(request.ttl().toSeconds());
      rtc.setTtl(ttl);
      rtm.setTtl(ttl);
      chat.setTtl(ttl);
      board.setTtl(ttl);
    }
    var entries = new LinkedHashMap<String, IssueTokenRequest>();
    entries.put("rtc", IssueTokenRequest.newBuilder().setRtc(rtc).build());
    if (request.rtmUserId() != null) {
      rtm.setUserId(request.rtmUserId());
      entries.put("rtm", IssueTokenRequest.newBuilder().setRtm(rtm).build());
    }
    if (request.chatUserId() != null) {
      chat.setUser(ChatUser.newBuilder().setUserId(request.chatUserId()));
      entries.put("chat", IssueTokenRequest.newBuilder().setChat(chat).build());
    }
    if (request.whiteboardRoom() != null) {
      board.setRoom(WhiteboardRoomScope.newBuilder().setRoomUuid(request.whiteboardRoom()));
      entries.put("whiteboard", IssueTokenRequest.newBuilder().setWhiteboard(board).build());
    }
    return entries;
  }

  private static Session session(SessionRequest request, Map<String, IssuedToken> issued) {
    var tokens = new LinkedHashMap<String, String>();
    issued.forEach((product, token) -> tokens.put(product, token.getToken()));
    return new Session(
        issued.get("rtc").getAppId(),
        request,
        earliest(issued.values(), IssuedToken::getIssueTime),
        earliest(issued.values(), IssuedToken::getExpireTime),
        earliest(issued.values(), IssuedToken::getRenewTime),
        tokens);
  }

  /** Returns the lifetime that all tokens can have, in whole seconds. */
  private static Duration shortestTtl(Collection<IssuedToken> issued) {
    return issued.stream()
        .map(
            token ->
                Duration.between(instant(token.getIssueTime()), instant(token.getExpireTime())))
        .min(naturalOrder())
        .orElseThrow();
  }

  private static Instant earliest(
      Collection<IssuedToken> issued, Function<IssuedToken, Timestamp> time) {
    return times(issued, time).min(naturalOrder()).orElseThrow();
  }

  private static Stream<Instant> times(
      Collection<IssuedToken> issued, Function<IssuedToken, Timestamp> time) {
    return issued.stream().map(time).map(Sessions::instant);
  }

  private static Instant instant(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  /** Returns the product whose token was refused, or null if the error is not about one token. */
  private static String product(StatusRuntimeException error) {
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        var path = "";
        if (detail.is(ErrorInfo.class)) {
          path = detail.unpack(ErrorInfo.class).getMetadataOrDefault("entry", "");
        } else if (detail.is(BadRequest.class)) {
          // There is one for each wrong field.
          var violations = detail.unpack(BadRequest.class).getFieldViolationsList();
          path = violations.isEmpty() ? "" : violations.get(0).getField();
        }
        var found = ENTRY.matcher(path);
        if (found.matches()) {
          return found.group(1);
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // Then the error itself says more than its details.
    }
    return null;
  }
}
