package example;

import java.time.Duration;

/**
 * One user in one channel, and the products that this user needs there.
 *
 * @param channel 1 to 64 bytes
 * @param uid 1 to 4294967295
 * @param rtmUserId null: no RTM token
 * @param chatUserId null: no Chat token
 * @param whiteboardRoom the room's UUID; null: no whiteboard token
 * @param ttl 1 s to 24 h, whole seconds; null: an hour
 * @param project empty: the only project that the caller may use
 */
record SessionRequest(
    String channel,
    long uid,
    Role role,
    String rtmUserId,
    String chatUserId,
    String whiteboardRoom,
    Duration ttl,
    String project) {

  /** What the user may do: on the whiteboard, a publisher writes and a subscriber reads. */
  enum Role {
    PUBLISHER,
    SUBSCRIBER
  }

  /** Requests an RTC token for an hour; the others are added with {@code with…}. */
  SessionRequest(String channel, long uid, Role role) {
    this(channel, uid, role, null, null, null, null, "");
  }

  SessionRequest withRtm(String userId) {
    return new SessionRequest(
        channel, uid, role, userId, chatUserId, whiteboardRoom, ttl, project);
  }

  SessionRequest withChat(String userId) {
    return new SessionRequest(
        channel, uid, role, rtmUserId, userId, whiteboardRoom, ttl, project);
  }

  SessionRequest withWhiteboard(String room) {
    return new SessionRequest(channel, uid, role, rtmUserId, chatUserId, room, ttl, project);
  }

  SessionRequest withTtl(Duration lifetime) {
    return new SessionRequest(
        channel, uid, role, rtmUserId, chatUserId, whiteboardRoom, lifetime, project);
  }
}
