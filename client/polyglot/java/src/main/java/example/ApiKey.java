package example;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import java.util.concurrent.Executor;

/** Sends an API key with each call, and never over a connection without TLS. */
final class ApiKey extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Metadata headers = new Metadata();

  ApiKey(String text) {
    headers.put(AUTHORIZATION, "Bearer " + text);
  }

  @Override
  public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
    if (call.getSecurityLevel() == SecurityLevel.PRIVACY_AND_INTEGRITY) {
      applier.apply(headers);
    } else {
      applier.fail(Status.UNAUTHENTICATED.withDescription("an API key needs TLS"));
    }
  }
}
