/**
 * The notary's stub for grpc-js, in the shape that its generators write. Nothing here knows of
 * attestation or sealing.
 */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { serviceDefinition } from "sealrpc";
import {
  type GetPublicKeyRequestSchema,
  type GetPublicKeyResponse,
  type ListReceiptsRequestSchema,
  type ListReceiptsResponse,
  NotaryService,
  type SignDigestRequestSchema,
  type SignDigestResponse,
  type SignManyRequestSchema,
  type SignManyResponse,
  type UploadDocumentRequestSchema,
  type UploadDocumentResponse,
} from "#gen/notary/v1/notary_pb.js";

type Sent<T extends DescMessage> = MessageInitShape<T>;

export interface NotaryClient extends grpc.Client {
  getPublicKey(
    request: Sent<typeof GetPublicKeyRequestSchema>,
    callback: grpc.requestCallback<GetPublicKeyResponse>,
  ): grpc.ClientUnaryCall;
  signDigest(
    request: Sent<typeof SignDigestRequestSchema>,
    callback: grpc.requestCallback<SignDigestResponse>,
  ): grpc.ClientUnaryCall;
  uploadDocument(
    metadata: grpc.Metadata,
    callback: grpc.requestCallback<UploadDocumentResponse>,
  ): grpc.ClientWritableStream<Sent<typeof UploadDocumentRequestSchema>>;
  listReceipts(
    request: Sent<typeof ListReceiptsRequestSchema>,
  ): AsyncIterable<ListReceiptsResponse> & grpc.ClientReadableStream<ListReceiptsResponse>;
  signMany(): AsyncIterable<SignManyResponse> &
    grpc.ClientDuplexStream<Sent<typeof SignManyRequestSchema>, SignManyResponse>;
}

export const NotaryClient = grpc.makeGenericClientConstructor(
  serviceDefinition(NotaryService),
  NotaryService.typeName,
) as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => NotaryClient;
