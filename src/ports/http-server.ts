/** A listening HTTP server; always on 127.0.0.1 unless told otherwise. */
export interface HttpServer {
  readonly url: string;
  close(): Promise<void>;
}
