package example;

import build.buf.protovalidate.Validator;
import build.buf.protovalidate.ValidatorFactory;
import build.buf.protovalidate.exceptions.ValidationException;
import build.buf.validate.FieldPath;
import build.buf.validate.ValidateProto;
import build.buf.validate.Violation;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.ExtensionRegistry;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The contract's rules, checked before a request is sent.
 *
 * <p>The stubs carry no rules, so that they need no package for them. Here a request is read again
 * with descriptors that do: those of {@code token_authority.rules.binpb}, which the server checks
 * requests with.
 */
final class LocalRules {
  /** What is wrong, as the server says it: the field's path, and the reason. */
  record Broken(String field, String violation) {}

  private final Map<String, FileDescriptor> files = new HashMap<>();
  private final Validator validator = ValidatorFactory.newBuilder().build();

  LocalRules() throws IOException {
    // Without the registry, the rules would be unknown fields of the options.
    var rules = ExtensionRegistry.newInstance();
    ValidateProto.registerAllExtensions(rules);
    try (InputStream image = getClass().getResourceAsStream("/token_authority.rules.binpb")) {
      // An image lists each file after those that it imports.
      for (var file : FileDescriptorSet.parseFrom(image, rules).getFileList()) {
        files.put(file.getName(), linked(file));
      }
    } catch (DescriptorValidationException error) {
      throw new IOException("token_authority.rules.binpb is damaged", error);
    }
  }

  /** Returns the first rule that a request breaks, if it breaks any. */
  Optional<Broken> check(Message request)
      throws InvalidProtocolBufferException, ValidationException {
    var type = request.getDescriptorForType();
    var withRules = files.get(type.getFile().getFullName()).findMessageTypeByName(type.getName());
    var again = DynamicMessage.parseFrom(withRules, request.toByteString());
    return validator.validate(again).toProto().getViolationsList().stream()
        .findFirst()
        .map(LocalRules::broken);
  }

  private FileDescriptor linked(FileDescriptorProto file) throws DescriptorValidationException {
    var imports = file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
    return FileDescriptor.buildFrom(file, imports);
  }

  private static Broken broken(Violation violation) {
    var reason = violation.getRuleId().toUpperCase(Locale.ROOT).replace('.', '_');
    return new Broken(path(violation.getField()), reason);
  }

  /** Spells a path like the server: {@code requests[3].rtc.channel_name}. */
  private static String path(FieldPath path) {
    return path.getElementsList().stream()
        .map(step -> step.getFieldName() + (step.hasIndex() ? "[" + step.getIndex() + "]" : ""))
        .collect(Collectors.joining("."));
  }
}
