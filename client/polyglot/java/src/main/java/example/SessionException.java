package example;

import io.grpc.StatusRuntimeException;

/** A token was refused, and therefore no token of the session was issued. */
final class SessionException extends Exception {
  private static final long serialVersionUID = 1;

  private final String product;

  /**
   * @param product rtc, rtm, chat or whiteboard
   * @param refusal the server's error
   */
  SessionException(String product, StatusRuntimeException refusal) {
    super(product + ": " + refusal.getMessage(), refusal);
    this.product = product;
  }

  /** Returns whose token was refused: rtc, rtm, chat or whiteboard. */
  String product() {
    return product;
  }

  @Override
  public synchronized StatusRuntimeException getCause() {
    return (StatusRuntimeException) super.getCause();
  }
}
