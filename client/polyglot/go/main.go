// Asks a token authority for two tokens and for sessions, and finds out why others are refused.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // makes grpc-go check health
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	authority "token-authority.internal/token_authority/v1"
)

// Retries, load balancing and health checks, as in all languages (client/service_config.json).
//
//go:embed gen/service_config.json
var serviceConfig string

// apiKey goes with every call, and never over a connection without TLS.
type apiKey string

func (key apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

func (apiKey) RequireTransportSecurity() bool { return true }

// refusal is what a program can act on: the reason is stable, the message is for people.
type refusal struct {
	Code      string `json:"code"`
	Reason    string `json:"reason"`
	Field     string `json:"field"`
	Violation string `json:"violation"`
}

func readRefusal(err error) refusal {
	refused := status.Convert(err)
	read := refusal{Code: code.Code(refused.Code()).String()}
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			read.Reason = detail.GetReason()
		case *errdetails.BadRequest:
			// There is one for each wrong field.
			if violations := detail.GetFieldViolations(); len(violations) > 0 {
				read.Field, read.Violation = violations[0].GetField(), violations[0].GetReason()
			}
		}
	}
	return read
}

func run() error {
	transport, err := credentials.NewClientTLSFromFile(os.Getenv("TOKEN_AUTHORITY_CA"), "")
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(
		os.Getenv("TOKEN_AUTHORITY_TARGET"),
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(apiKey(os.Getenv("TOKEN_AUTHORITY_API_KEY"))),
		grpc.WithDefaultServiceConfig(serviceConfig),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := authority.NewTokenServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	whiteboard, err := client.IssueWhiteboardToken(ctx, &authority.IssueWhiteboardTokenRequest{
		Scope: &authority.IssueWhiteboardTokenRequest_Room{
			Room: &authority.WhiteboardRoomScope{RoomUuid: "4a50cb3b6a0c4b5e"},
		},
		Role: authority.WhiteboardRole_WHITEBOARD_ROLE_WRITER,
		Expiration: &authority.IssueWhiteboardTokenRequest_Ttl{
			Ttl: durationpb.New(time.Hour),
		},
	})
	if err != nil {
		return err
	}
	rtc, err := client.IssueRtcToken(ctx, rtcRequest(7))
	if err != nil {
		return err
	}
	// uid 0 would admit anyone, which has to be said in words: AnyUser.
	invalid := rtcRequest(0)
	local, err := firstViolation(invalid)
	if err != nil {
		return err
	}
	_, refused := client.IssueRtcToken(ctx, invalid)
	if refused == nil {
		return errors.New("uid 0 was not refused")
	}
	parsed, err := parse(rtc.GetIssuedToken().GetToken())
	if err != nil {
		return err
	}
	sessions, refusedSessions, err := showSessions(ctx, client)
	if err != nil {
		return err
	}
	renewAfter := make([]float64, len(sessions))
	for index, session := range sessions {
		renewAfter[index] = session.RenewAfter().Seconds()
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"whiteboard_token":    whiteboard.GetIssuedToken().GetToken(),
		"rtc_token":           rtc.GetIssuedToken().GetToken(),
		"refused":             readRefusal(refused),
		"local":               local,
		"parsed":              parsed,
		"verified_by":         verifiedBy(),
		"sessions":            sessions,
		"renew_after_seconds": renewAfter,
		"sessions_refused":    refusedSessions,
	})
}

// sessionRefusal is a refusal of all tokens, because of the product's.
type sessionRefusal struct {
	Product string `json:"product"`
	refusal
}

// showSessions issues three sessions, and finds out why two others are refused.
func showSessions(
	ctx context.Context, client authority.TokenServiceClient,
) (issued []*Session, refused []sessionRefusal, err error) {
	whole := SessionRequest{
		Channel:        "lesson-1",
		UID:            7,
		Role:           Publisher,
		RTMUserID:      "ada",
		ChatUserID:     "ada.l",
		WhiteboardRoom: "4a50cb3b6a0c4b5e",
		TTL:            20 * time.Minute,
	}
	for _, request := range []SessionRequest{
		whole,
		{Channel: "lesson-1", UID: 4294967295, Role: Subscriber},
		// A grant shortens the token for this room, and so all of them.
		{Channel: "lesson-1", UID: 7, Role: Subscriber, WhiteboardRoom: "5b61dc4c7b1d5c6f"},
	} {
		session, err := IssueSession(ctx, client, request)
		if err != nil {
			return nil, nil, err
		}
		fmt.Fprintln(os.Stderr, session) // shows no token
		issued = append(issued, session)
	}
	otherRoom, otherUser := whole, whole
	otherRoom.WhiteboardRoom = "0000000000000000"
	otherUser.RTMUserID = "é"
	for _, request := range []SessionRequest{otherRoom, otherUser} {
		_, err := IssueSession(ctx, client, request)
		var about *SessionError
		if !errors.As(err, &about) {
			return nil, nil, fmt.Errorf("a session was not refused as expected: %v", err)
		}
		refused = append(refused, sessionRefusal{about.Product, readRefusal(err)})
	}
	return issued, refused, nil
}

func rtcRequest(uid int64) *authority.IssueRtcTokenRequest {
	return &authority.IssueRtcTokenRequest{
		Channel:    &authority.IssueRtcTokenRequest_ChannelName{ChannelName: "lesson-1"},
		User:       &authority.IssueRtcTokenRequest_Uid{Uid: uid},
		Rights:     &authority.IssueRtcTokenRequest_Role{Role: authority.RtcRole_RTC_ROLE_PUBLISHER},
		Expiration: &authority.IssueRtcTokenRequest_Ttl{Ttl: durationpb.New(time.Hour)},
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
