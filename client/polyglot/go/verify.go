package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/AgoraIO-Community/go-tokenbuilder/accesstoken"
)

const library = "github.com/AgoraIO-Community/go-tokenbuilder"

// parse reads a token with the library of Agora's developer relations. A service that hands tokens
// out has no need to; it is here to show that they are good.
func parse(token string) (map[string]string, error) {
	read := accesstoken.CreateAccessToken()
	if ok, err := read.Parse(token); err != nil || !ok {
		return nil, fmt.Errorf("%s cannot read the token: %w", library, err)
	}
	rtc, ok := read.Services[accesstoken.ServiceTypeRtc].(*accesstoken.ServiceRtc)
	if !ok {
		return nil, fmt.Errorf("the token is not for RTC")
	}
	return map[string]string{"channel_name": rtc.ChannelName, "uid": rtc.Uid, "app_id": read.AppId}, nil
}

// verifiedBy names the library and the version that was built in.
func verifiedBy() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == library {
			return strings.TrimPrefix(module.Path, "github.com/") + " " + module.Version
		}
	}
	return ""
}
