package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authority "token-authority.internal/token_authority/v1"
)

// Role is what a user may do in a channel. On the whiteboard, a publisher is a writer and a
// subscriber a reader.
type Role string

const (
	Publisher  Role = "publisher"
	Subscriber Role = "subscriber"
)

// SessionRequest names one user in one channel, and the products that this user needs there.
type SessionRequest struct {
	Channel        string        // 1 to 64 bytes
	UID            int64         // 1 to 4294967295
	Role           Role          // Publisher or Subscriber
	RTMUserID      string        // "": no RTM token
	ChatUserID     string        // "": no Chat token
	WhiteboardRoom string        // the room's UUID; "": no whiteboard token
	TTL            time.Duration // 1 s to 24 h, whole seconds; 0: an hour
	Project        string        // "": the only project that the caller may use
}

// Session has the tokens of one user in one channel, which expire together. Its JSON form is that
// of the Python client (client/README.md#one-call-for-a-session): send it only to this user.
//
// To renew it, call IssueSession again RenewAfter its request. While that fails, the session can be
// used until ExpireTime.
type Session struct {
	AppID           string `json:"app_id"`
	Channel         string `json:"channel"`
	UID             int64  `json:"uid"`
	Role            Role   `json:"role"`
	IssueTime       Time   `json:"issue_time"`
	ExpireTime      Time   `json:"expire_time"`
	RenewTime       Time   `json:"renew_time"`
	RTCToken        Token  `json:"rtc_token"`
	RTMUserID       string `json:"rtm_user_id,omitempty"`
	RTMToken        Token  `json:"rtm_token,omitempty"`
	ChatUserID      string `json:"chat_user_id,omitempty"`
	ChatToken       Token  `json:"chat_token,omitempty"`
	WhiteboardRoom  string `json:"whiteboard_room,omitempty"`
	WhiteboardToken Token  `json:"whiteboard_token,omitempty"`
}

// RenewAfter returns when to issue the next session, counted from the request for this one. Both
// of its times are the server's, so that the local clock need not be right.
func (session *Session) RenewAfter() time.Duration {
	return session.RenewTime.Sub(session.IssueTime.Time)
}

// Token is a credential: JSON contains it, but fmt and log do not show it.
type Token string

func (Token) String() string { return "[redacted]" }

func (Token) GoString() string { return "[redacted]" }

// Time is in UTC; in JSON it has milliseconds.
type Time struct{ time.Time }

func (moment Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(moment.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// SessionError says which token was refused. No token was issued.
type SessionError struct {
	Product string // rtc, rtm, chat or whiteboard
	Err     error  // the server's status
}

func (refused *SessionError) Error() string { return refused.Product + ": " + refused.Err.Error() }

func (refused *SessionError) Unwrap() error { return refused.Err }

// IssueSession issues all tokens that one user needs in one channel, in one call: all or none. If a
// grant shortens one of them, a second call issues all again with that lifetime.
//
// It returns a *SessionError if a token was refused.
func IssueSession(
	ctx context.Context, client authority.TokenServiceClient, request SessionRequest,
) (*Session, error) {
	tokens, err := issueAll(ctx, client, request)
	if err != nil {
		return nil, err
	}
	if shorter := shorterTTL(tokens); shorter > 0 {
		request.TTL = shorter
		if tokens, err = issueAll(ctx, client, request); err != nil {
			return nil, err
		}
	}
	return newSession(request, tokens), nil
}

// issueAll calls the server once, and checks that it answered every entry.
func issueAll(
	ctx context.Context, client authority.TokenServiceClient, request SessionRequest,
) ([]*authority.IssuedToken, error) {
	entries := batchEntries(request)
	batch := &authority.BatchIssueTokensRequest{Requests: entries}
	response, err := client.BatchIssueTokens(ctx, batch)
	if err != nil {
		return nil, withProduct(err)
	}
	tokens := response.GetIssuedTokens()
	if len(tokens) != len(entries) {
		return nil, fmt.Errorf("the server issued %d tokens for %d requests", len(tokens), len(entries))
	}
	for index, issued := range tokens {
		hasTimes := issued.IssueTime != nil && issued.ExpireTime != nil && issued.RenewTime != nil
		if issued.GetToken() == "" || !hasTimes {
			return nil, fmt.Errorf("token %d of the server's response is incomplete", index)
		}
	}
	return tokens, nil
}

// batchEntries returns one request per product, in the order in which newSession reads the tokens.
func batchEntries(request SessionRequest) []*authority.IssueTokenRequest {
	role, boardRole := roles(request.Role)
	rtc := &authority.IssueRtcTokenRequest{
		Project: request.Project,
		Channel: &authority.IssueRtcTokenRequest_ChannelName{ChannelName: request.Channel},
		User:    &authority.IssueRtcTokenRequest_Uid{Uid: request.UID},
		Rights:  &authority.IssueRtcTokenRequest_Role{Role: role},
	}
	rtm := &authority.IssueRtmTokenRequest{Project: request.Project, UserId: request.RTMUserID}
	chat := &authority.IssueChatTokenRequest{
		Project: request.Project,
		Subject: &authority.IssueChatTokenRequest_User{
			User: &authority.ChatUser{UserId: request.ChatUserID},
		},
	}
	board := &authority.IssueWhiteboardTokenRequest{
		Project: request.Project,
		Scope: &authority.IssueWhiteboardTokenRequest_Room{
			Room: &authority.WhiteboardRoomScope{RoomUuid: request.WhiteboardRoom},
		},
		Role: boardRole,
	}
	if request.TTL != 0 {
		ttl := durationpb.New(request.TTL)
		rtc.Expiration = &authority.IssueRtcTokenRequest_Ttl{Ttl: ttl}
		rtm.Expiration = &authority.IssueRtmTokenRequest_Ttl{Ttl: ttl}
		chat.Expiration = &authority.IssueChatTokenRequest_Ttl{Ttl: ttl}
		board.Expiration = &authority.IssueWhiteboardTokenRequest_Ttl{Ttl: ttl}
	}
	entries := []*authority.IssueTokenRequest{{Request: &authority.IssueTokenRequest_Rtc{Rtc: rtc}}}
	add := func(entry *authority.IssueTokenRequest) { entries = append(entries, entry) }
	if request.RTMUserID != "" {
		add(&authority.IssueTokenRequest{Request: &authority.IssueTokenRequest_Rtm{Rtm: rtm}})
	}
	if request.ChatUserID != "" {
		add(&authority.IssueTokenRequest{Request: &authority.IssueTokenRequest_Chat{Chat: chat}})
	}
	if request.WhiteboardRoom != "" {
		add(&authority.IssueTokenRequest{
			Request: &authority.IssueTokenRequest_Whiteboard{Whiteboard: board},
		})
	}
	return entries
}

// roles returns the contract's roles. The server refuses those of any other text: unspecified.
func roles(role Role) (authority.RtcRole, authority.WhiteboardRole) {
	switch role {
	case Publisher:
		return authority.RtcRole_RTC_ROLE_PUBLISHER, authority.WhiteboardRole_WHITEBOARD_ROLE_WRITER
	case Subscriber:
		return authority.RtcRole_RTC_ROLE_SUBSCRIBER, authority.WhiteboardRole_WHITEBOARD_ROLE_READER
	}
	return authority.RtcRole_RTC_ROLE_UNSPECIFIED, authority.WhiteboardRole_WHITEBOARD_ROLE_UNSPECIFIED
}

func newSession(request SessionRequest, tokens []*authority.IssuedToken) *Session {
	session := &Session{
		AppID:      tokens[0].GetAppId(),
		Channel:    request.Channel,
		UID:        request.UID,
		Role:       request.Role,
		IssueTime:  earliest(tokens, (*authority.IssuedToken).GetIssueTime),
		ExpireTime: earliest(tokens, (*authority.IssuedToken).GetExpireTime),
		RenewTime:  earliest(tokens, (*authority.IssuedToken).GetRenewTime),
	}
	next := func() Token {
		issued := tokens[0]
		tokens = tokens[1:]
		return Token(issued.GetToken())
	}
	session.RTCToken = next()
	if request.RTMUserID != "" {
		session.RTMUserID, session.RTMToken = request.RTMUserID, next()
	}
	if request.ChatUserID != "" {
		session.ChatUserID, session.ChatToken = request.ChatUserID, next()
	}
	if request.WhiteboardRoom != "" {
		session.WhiteboardRoom, session.WhiteboardToken = request.WhiteboardRoom, next()
	}
	return session
}

func earliest(
	tokens []*authority.IssuedToken, read func(*authority.IssuedToken) *timestamppb.Timestamp,
) Time {
	first := read(tokens[0]).AsTime()
	for _, issued := range tokens[1:] {
		if moment := read(issued).AsTime(); moment.Before(first) {
			first = moment
		}
	}
	return Time{first}
}

// shorterTTL returns the lifetime that all tokens can have; 0 if they expire together already. The
// server reads its clock for each token, and lifetimes differ only where grants differ.
func shorterTTL(tokens []*authority.IssuedToken) time.Duration {
	first := earliest(tokens, (*authority.IssuedToken).GetExpireTime)
	var last time.Time
	shortest := 24 * time.Hour
	for _, issued := range tokens {
		end := issued.GetExpireTime().AsTime()
		if end.After(last) {
			last = end
		}
		shortest = min(shortest, end.Sub(issued.GetIssueTime().AsTime()))
	}
	if last.Sub(first.Time) <= 2*time.Second {
		return 0
	}
	return shortest.Truncate(time.Second)
}

// entryPath matches the path of an entry or of its field: requests[3].whiteboard, with the product.
var entryPath = regexp.MustCompile(`^requests\[\d+\]\.(\w+)`)

// withProduct returns the server's error as a *SessionError if it is about one of the entries.
func withProduct(err error) error {
	for _, detail := range status.Convert(err).Details() {
		path := ""
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			path = detail.GetMetadata()["entry"]
		case *errdetails.BadRequest:
			// There is one for each wrong field.
			if violations := detail.GetFieldViolations(); len(violations) > 0 {
				path = violations[0].GetField()
			}
		}
		if found := entryPath.FindStringSubmatch(path); found != nil {
			return &SessionError{Product: found[1], Err: err}
		}
	}
	return err
}
