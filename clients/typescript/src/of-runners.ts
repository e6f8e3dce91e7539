import type { DescService } from "@bufbuild/protobuf";

/**
 * Whether it is the LeaseService, of the runners: some of its calls are held on purpose, and a
 * lease has rules of its own.
 */
export function isOfRunners(service: DescService): boolean {
  return service.file.proto.package === "pipewright.runner.v1";
}
