// Gets a whiteboard token and an RTC token, and reads why a third request is refused.

using System;
using System.Net.Http;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Threading.Tasks;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Grpc.StatusProto;
using TokenAuthority.V1;

static class Client
{
    static readonly Duration OneHour = Duration.FromTimeSpan(TimeSpan.FromHours(1));

    static int Main()
    {
        try
        {
            using (var channel = Connect(
                Variable("TOKEN_AUTHORITY_TARGET"),
                Variable("TOKEN_AUTHORITY_CA"),
                Variable("TOKEN_AUTHORITY_API_KEY")))
            {
                var shown = Show(new TokenService.TokenServiceClient(channel));
                Console.WriteLine(JsonSerializer.Serialize(shown));
            }
            return 0;
        }
        catch (RpcException error)
        {
            Console.Error.WriteLine($"no token: {Name(error.StatusCode)}: {error.Status.Detail}");
        }
        catch (Exception error)
        {
            Console.Error.WriteLine($"no token: {error.Message}");
        }
        return 1;
    }

    static GrpcChannel Connect(string target, string certificates, string apiKey)
    {
        // Only the given authority is trusted; the host's name is checked as ever.
        var trust = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            // An authority of your own seldom publishes what it revoked.
            RevocationMode = X509RevocationMode.NoCheck,
        };
        trust.CustomTrustStore.ImportFromPemFile(certificates);
        // Goes with each call, and never without TLS.
        var key = CallCredentials.FromInterceptor((context, metadata) =>
        {
            metadata.Add("authorization", "Bearer " + apiKey);
            return Task.CompletedTask;
        });
        return GrpcChannel.ForAddress("https://" + target, new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler
            {
                SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = trust },
            },
            Credentials = ChannelCredentials.Create(new SslCredentials(), key),
            ServiceConfig = new ServiceConfig { MethodConfigs = { Repeated() } },
        });
    }

    // Every method may be called again without harm, so a server that is away (it restarts, or there
    // is none yet) is asked five times in about three seconds: the figures of
    // client/service_config.json, which .NET does not read.
    static MethodConfig Repeated()
    {
        return new MethodConfig
        {
            Names = { new MethodName { Service = "token_authority.v1.TokenService" } },
            RetryPolicy = new RetryPolicy
            {
                MaxAttempts = 5,
                InitialBackoff = TimeSpan.FromSeconds(0.1),
                MaxBackoff = TimeSpan.FromSeconds(2),
                BackoffMultiplier = 3,
                RetryableStatusCodes = { StatusCode.Unavailable, StatusCode.Cancelled },
            },
        };
    }

    static object Show(TokenService.TokenServiceClient tokens)
    {
        var whiteboard = new IssueWhiteboardTokenRequest
        {
            Room = new WhiteboardRoomScope { RoomUuid = "4a50cb3b6a0c4b5e" },
            Role = WhiteboardRole.Writer,
            Ttl = OneHour,
        };
        return new
        {
            whiteboard_token =
                tokens.IssueWhiteboardToken(whiteboard, deadline: Soon()).IssuedToken.Token,
            rtc_token = tokens.IssueRtcToken(Rtc(7), deadline: Soon()).IssuedToken.Token,
            refused = Refusal(tokens, Rtc(0)),
            // Agora publishes its C# code as sources only.
            parsed = (object)null,
            verified_by = "",
        };
    }

    // Without a deadline a call could wait for ever.
    static DateTime Soon()
    {
        return DateTime.UtcNow.AddSeconds(5);
    }

    static IssueRtcTokenRequest Rtc(long uid)
    {
        return new IssueRtcTokenRequest
        {
            ChannelName = "lesson-1",
            Uid = uid,
            Role = RtcRole.Publisher,
            Ttl = OneHour,
        };
    }

    static object Refusal(TokenService.TokenServiceClient tokens, IssueRtcTokenRequest request)
    {
        try
        {
            tokens.IssueRtcToken(request, deadline: Soon());
        }
        catch (RpcException error)
        {
            // The details of a refusal come beside its code and its text, which is for people.
            var status = error.GetRpcStatus();
            var info = status?.GetStatusDetail<ErrorInfo>();
            var bad = status?.GetStatusDetail<BadRequest>();
            if (info == null || bad == null || bad.FieldViolations.Count == 0)
            {
                // Not from the token authority, but from something in between: a proxy, or grpc.
                throw;
            }
            return new
            {
                code = Name(error.StatusCode),
                reason = info.Reason,
                field = bad.FieldViolations[0].Field,
                violation = bad.FieldViolations[0].Reason,
            };
        }
        throw new InvalidOperationException("the request was not refused");
    }

    // Spells a code as other languages do: INVALID_ARGUMENT, which .NET calls InvalidArgument.
    static string Name(StatusCode code)
    {
        return JsonNamingPolicy.SnakeCaseUpper.ConvertName(code.ToString());
    }

    static string Variable(string name)
    {
        var value = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrEmpty(value) ? throw new InvalidOperationException($"set {name}") : value;
    }
}
