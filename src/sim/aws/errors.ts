/** Names of errors of AWS IoT with their status: docs/protocols/aws-iot.md §5.7, and the models of the SDK. */
const STATUS = {
  CertificateStateException: 406,
  ConflictException: 409,
  DeleteConflictException: 409,
  ForbiddenException: 403,
  GatewayTimeoutException: 504,
  IndexNotReadyException: 400,
  InternalFailureException: 500,
  InvalidQueryException: 400,
  InvalidRequestException: 400,
  MethodNotAllowedException: 405,
  RequestEntityTooLargeException: 413,
  ResourceAlreadyExistsException: 409,
  ResourceNotFoundException: 404,
  ServiceUnavailableException: 503,
  ThrottlingException: 429,
  UnauthorizedException: 401,
  UnrecognizedClientException: 403,
  UnsupportedDocumentEncodingException: 415,
  VersionConflictException: 409,
} as const;

export type AwsErrorName = keyof typeof STATUS;

/** A refusal of the registry, of provisioning or of a call over HTTP. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly code: AwsErrorName;

  constructor(code: AwsErrorName, message: string) {
    super(message);
    this.code = code;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** The name of a refusal of the shadow service, which gives a number. */
export function errorNameOf(status: number): AwsErrorName {
  const found = SHADOW_ERRORS.find((name) => STATUS[name] === status);
  return found ?? 'InternalFailureException';
}

const SHADOW_ERRORS: readonly AwsErrorName[] = [
  'InvalidRequestException',
  'UnauthorizedException',
  'ForbiddenException',
  'ResourceNotFoundException',
  'MethodNotAllowedException',
  'ConflictException',
  'RequestEntityTooLargeException',
  'UnsupportedDocumentEncodingException',
  'ThrottlingException',
  'ServiceUnavailableException',
];
