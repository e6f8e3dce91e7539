import { decodeBinaryHeader } from "@connectrpc/connect";
import { StatusSchema } from "./google/rpc/status_pb.js";

/** The header or trailer with the details of a status, which Connect believes before the status. */
export const STATUS_DETAILS = "grpc-status-details-bin";

/** Whether the details can be read and say the same as the status: broken ones must not hide it. */
export function areDetailsSound(details: string, status: string | null | undefined): boolean {
  try {
    return decodeBinaryHeader(details, StatusSchema).code === Number(status);
  } catch {
    return false;
  }
}
