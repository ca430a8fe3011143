<?php

declare(strict_types=1);

use Google\Protobuf\Internal\Message;
use Google\Rpc\BadRequest;
use Google\Rpc\ErrorInfo;
use Google\Rpc\Status;

/** A call that was refused or did not get through: its gRPC status, and what the server says of it. */
final class GrpcError extends RuntimeException
{
    public const CANCELLED = 1;
    public const INVALID_ARGUMENT = 3;
    public const UNAVAILABLE = 14;

    /** @param Message[] $details messages of google.rpc */
    public function __construct(string $message, int $code, private readonly array $details = [])
    {
        parent::__construct($message, $code);
    }

    /** Why, as programs read it. */
    public function info(): ?ErrorInfo
    {
        return $this->detail(ErrorInfo::class);
    }

    /** Which fields of the request are wrong. */
    public function badRequest(): ?BadRequest
    {
        return $this->detail(BadRequest::class);
    }

    private function detail(string $class): ?Message
    {
        $found = array_filter($this->details, fn (Message $detail) => $detail instanceof $class);
        return array_values($found)[0] ?? null;
    }
}

/**
 * Unary gRPC over curl's HTTP/2, for where the grpc extension is not available: a call is a POST
 * whose answer ends in trailers. One connection is kept for all calls.
 */
final class Channel
{
    // Seconds before each further attempt, as in client/service_config.json.
    private const BACKOFF = [0.1, 0.3, 0.9, 2.0];
    private const RETRYABLE = [GrpcError::UNAVAILABLE, GrpcError::CANCELLED];
    private const TIMEOUT_SECONDS = 5;

    private readonly CurlHandle $curl;
    /** @var array<string, string> headers and trailers of the last answer, by lower-case name */
    private array $metadata = [];

    public function __construct(
        private readonly string $target,
        string $caFile,
        private readonly string $apiKey,
    ) {
        $this->curl = curl_init();
        curl_setopt_array($this->curl, [
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2TLS,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTPS,
            CURLOPT_PROXY => '',
            CURLOPT_CAINFO => $caFile,
            // That authority alone: else curl would add those of the system's folder. Here are none.
            CURLOPT_CAPATH => __DIR__,
            CURLOPT_POST => true,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => self::TIMEOUT_SECONDS,
            CURLOPT_HEADERFUNCTION => function (CurlHandle $curl, string $line): int {
                [$name, $value] = explode(':', $line, 2) + [1 => ''];
                $this->metadata[strtolower($name)] = trim($value);
                return strlen($line);
            },
        ]);
    }

    /**
     * Calls a method.
     *
     * @template T of Message
     * @param class-string<T> $answerClass
     * @return T
     * @throws GrpcError
     */
    public function call(string $method, Message $request, string $answerClass): Message
    {
        foreach ([...self::BACKOFF, null] as $wait) {
            try {
                $answer = new $answerClass();
                $answer->mergeFromString($this->attempt($method, $request->serializeToString()));
                return $answer;
            } catch (GrpcError $error) {
                // A refusal stays one however often it is asked for.
                if ($wait === null || !in_array($error->getCode(), self::RETRYABLE, true)) {
                    throw $error;
                }
                usleep((int) ($wait * 1e6));
            }
        }
    }

    private function attempt(string $method, string $message): string
    {
        $this->metadata = [];
        curl_setopt_array($this->curl, [
            CURLOPT_URL => "https://{$this->target}/{$method}",
            // A message is preceded by "not compressed" and its length.
            CURLOPT_POSTFIELDS => pack('CN', 0, strlen($message)) . $message,
            CURLOPT_HTTPHEADER => [
                'Content-Type: application/grpc',
                'TE: trailers',
                'Grpc-Timeout: ' . self::TIMEOUT_SECONDS . 'S',
                "Authorization: Bearer {$this->apiKey}",
            ],
        ]);
        $body = curl_exec($this->curl);
        if ($body === false) {
            throw new GrpcError(curl_error($this->curl), GrpcError::UNAVAILABLE);
        }
        if (!isset($this->metadata['grpc-status'])) {
            $http = curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE);
            throw new GrpcError("no gRPC server answered, but HTTP {$http}", GrpcError::UNAVAILABLE);
        }
        $code = (int) $this->metadata['grpc-status'];
        if ($code !== 0) {
            $message = rawurldecode($this->metadata['grpc-message'] ?? '');
            throw new GrpcError($message, $code, $this->details());
        }
        return substr($body, 5);
    }

    /** @return Message[] */
    private function details(): array
    {
        $status = new Status();
        $status->mergeFromString(base64_decode($this->metadata['grpc-status-details-bin'] ?? ''));
        // What unpacks a detail has to know the messages it may be.
        GPBMetadata\Google\Rpc\ErrorDetails::initOnce();
        return array_map(fn ($detail) => $detail->unpack(), [...$status->getDetails()]);
    }
}
