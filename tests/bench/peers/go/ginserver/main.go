// A REST server around AgoraIO-Community's Go library, as its sample servers are written: anyone
// may request any token.
package main

import (
	"net/http"
	"os"

	rtctokenbuilder "github.com/AgoraIO-Community/go-tokenbuilder/rtctokenbuilder"
	"github.com/gin-gonic/gin"
)

type request struct {
	Channel string `json:"channel" binding:"required"`
	UID     uint32 `json:"uid" binding:"required"`
	Expire  uint32 `json:"expire"`
}

func main() {
	appID, certificate := os.Getenv("APP_ID"), os.Getenv("APP_CERTIFICATE")
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.LoggerWithWriter(os.Stderr), gin.Recovery())
	router.GET("/ping", func(c *gin.Context) { c.Status(http.StatusOK) })
	router.POST("/rtc", func(c *gin.Context) {
		var wanted request
		if err := c.ShouldBindJSON(&wanted); err != nil {
			c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		token, err := rtctokenbuilder.BuildTokenWithUid(appID, certificate, wanted.Channel,
			wanted.UID, rtctokenbuilder.RolePublisher, wanted.Expire)
		if err != nil {
			c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})
			return
		}
		c.JSON(http.StatusOK, gin.H{"rtcToken": token})
	})
	if err := router.Run(os.Getenv("LISTEN")); err != nil {
		panic(err)
	}
}
