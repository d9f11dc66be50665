/** Codes of a hub with their HTTP status (docs/protocols/shadow-devices.md §8.4). */
const STATUS = {
  ArgumentInvalid: 400,
  TwinTooLarge: 400,
  IotHubUnauthorizedAccess: 401,
  DeviceNotFound: 404,
  DeviceNotOnline: 404,
  NotFound: 404,
  MethodNotAllowed: 405,
  PreconditionFailed: 412,
  RequestEntityTooLarge: 413,
  ThrottlingException: 429,
  ServerError: 500,
  ServiceUnavailable: 503,
  GatewayTimeout: 504,
} as const;

export type HubErrorCode = keyof typeof STATUS;

/** A refusal, as a hub words it. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly code: HubErrorCode;
  readonly status: number;

  constructor(code: HubErrorCode, message: string, status?: number) {
    super(message);
    this.code = code;
    this.status = status ?? STATUS[code];
  }
}
