package example;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The tokens of one user in one channel, which expire together.
 *
 * <p>To renew a session, issue the next one {@link #renewAfter} its request. While that fails, the
 * session can be used until its expire time.
 *
 * @param tokens by product: rtc, and those of rtm, chat and whiteboard that were requested
 */
record Session(
    String appId,
    SessionRequest request,
    Instant issueTime,
    Instant expireTime,
    Instant renewTime,
    Map<String, String> tokens) {

  private static final DateTimeFormatter RFC_3339 =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  /**
   * Returns when to issue the next session, counted from the request for this one. Both of its
   * times are the server's, so that the local clock need not be right.
   */
  Duration renewAfter() {
    return Duration.between(issueTime, renewTime);
  }

  /**
   * Returns the JSON form, which is that of the Python client
   * (client/README.md#one-call-for-a-session). It contains the tokens: send it only to this user.
   */
  Map<String, Object> toMap() {
    var form = new LinkedHashMap<String, Object>();
    form.put("app_id", appId);
    form.put("channel", request.channel());
    form.put("uid", request.uid());
    form.put("role", request.role().name().toLowerCase(Locale.ROOT));
    form.put("issue_time", RFC_3339.format(issueTime));
    form.put("expire_time", RFC_3339.format(expireTime));
    form.put("renew_time", RFC_3339.format(renewTime));
    form.put("rtc_token", tokens.get("rtc"));
    put(form, "rtm", "rtm_user_id", request.rtmUserId());
    put(form, "chat", "chat_user_id", request.chatUserId());
    put(form, "whiteboard", "whiteboard_room", request.whiteboardRoom());
    return form;
  }

  private void put(Map<String, Object> form, String product, String name, String value) {
    if (value != null) {
      form.put(name, value);
      form.put(product + "_token", tokens.get(product));
    }
  }

  /** Contains no token. */
  @Override
  public String toString() {
    return "Session[" + request + ", expireTime=" + expireTime + ", renewTime=" + renewTime + "]";
  }
}
