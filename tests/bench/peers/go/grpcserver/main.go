// A gRPC server around AgoraIO-Community's Go library, with the messages of our contract and no
// checks: anyone may request any token.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"time"

	rtctokenbuilder "github.com/AgoraIO-Community/go-tokenbuilder/rtctokenbuilder"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
	pb "token-authority.internal/token_authority/v1"
)

const life = 3600

type server struct {
	pb.UnimplementedTokenServiceServer
	appID, certificate string
}

func (s server) IssueRtcToken(
	_ context.Context, request *pb.IssueRtcTokenRequest,
) (*pb.IssueRtcTokenResponse, error) {
	now := time.Now()
	token, err := rtctokenbuilder.BuildTokenWithUid(s.appID, s.certificate,
		request.GetChannelName(), uint32(request.GetUid()), rtctokenbuilder.RolePublisher, life)
	if err != nil {
		return nil, err
	}
	log.Printf("issued rtc channel=%s uid=%d", request.GetChannelName(), request.GetUid())
	return &pb.IssueRtcTokenResponse{IssuedToken: &pb.IssuedToken{
		Token: token, AppId: s.appID, IssueTime: timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(life * time.Second)),
	}}, nil
}

func main() {
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		panic(err)
	}
	serving := grpc.NewServer()
	pb.RegisterTokenServiceServer(serving, server{
		appID: os.Getenv("APP_ID"), certificate: os.Getenv("APP_CERTIFICATE"),
	})
	if err := serving.Serve(listener); err != nil {
		panic(err)
	}
}
