import type { DescService } from "@bufbuild/protobuf";

/**
 * Whether it is the LeaseService for runners: the service holds some of its calls on purpose, and
 * a lease has rules of its own.
 */
export function isOfRunners(service: DescService): boolean {
  return service.file.proto.package === "pipewright.runner.v1";
}
