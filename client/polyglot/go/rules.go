package main

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

//go:embed gen/token_authority.rules.binpb
var rulesImage []byte

// violation names a field and a rule as the server's google.rpc.BadRequest does.
type violation struct {
	Field string `json:"field"`
	Rule  string `json:"violation"`
}

// firstViolation checks a request before it is sent, against the rules that the server enforces.
//
// The stubs carry no rules: the request is read again as the message of the same name in the image
// that has them. A program keeps the registry and the validator, which are costly to make.
func firstViolation(request proto.Message) (*violation, error) {
	image := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(rulesImage, image); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(image)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName(proto.MessageName(request))
	if err != nil {
		return nil, err
	}
	message, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a message", found.FullName())
	}
	data, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	ruled := dynamicpb.NewMessage(message)
	if err := proto.Unmarshal(data, ruled); err != nil {
		return nil, err
	}
	var refused *protovalidate.ValidationError
	if err := protovalidate.Validate(ruled); !errors.As(err, &refused) {
		return nil, err
	}
	first := refused.Violations[0].Proto
	return &violation{
		Field: protovalidate.FieldPathString(first.GetField()),
		Rule:  strings.ToUpper(strings.ReplaceAll(first.GetRuleId(), ".", "_")),
	}, nil
}
