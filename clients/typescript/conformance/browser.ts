import { once } from "node:events";
import { appendFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "@bufbuild/protobuf";
import { build } from "esbuild";
import { type BrowserContext, chromium } from "playwright-core";
import { listen, say } from "./stdio.js";

/** The page's script, without modules of Node.js. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("page.js", import.meta.url))],
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

/** Serves the page on a port of loopback. */
async function serve(script: string) {
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript ? script : '<!doctype html><script type="module" src="page.js"></script>',
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** Opens the page in a headless browser, and adds functions that a page does not have. */
async function open(context: BrowserContext, url: string) {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(error));
  await page.exposeFunction("say", (answer: JsonObject) => say(answer));
  await page.exposeFunction("create", (path: string) => writeFile(path, ""));
  await page.exposeFunction("append", (path: string, base64: string) =>
    appendFile(path, base64, "base64"),
  );
  await page.goto(url);
  await page.waitForFunction(() => "play" in globalThis);
  return page;
}

const { server, url } = await serve(await bundle());
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await open(await browser.newContext(), url);
await listen((line) => page.evaluate((line) => globalThis.play(line), line));
await browser.close();
server.close();
server.closeAllConnections();
