// Browsers as programs that open an address, without a driver: a page itself posts what it has to say.
import { existsSync, readdirSync } from "node:fs";

const chromiumFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** MiniBrowser lies in a folder of the library's, not in the path. */
function miniBrowser() {
  const libraries = "/usr/lib/x86_64-linux-gnu";
  const folder = existsSync(libraries) ? readdirSync(libraries).find((name) => name.startsWith("webkit2gtk-4")) : undefined;
  return `${libraries}/${folder}/MiniBrowser`;
}

/**
 * `needs`: files without which it cannot be started. `install`: the command that brings them. `command(profile, address)`: what to run,
 * with a fresh folder for its profile. `display`: it cannot do without a screen, so it gets a virtual one.
 */
export const browsers = {
  chromium: {
    needs: [process.env.CHROMIUM ?? "/usr/bin/chromium"],
    install: "apt-get install -y chromium",
    version: /Chrome\/([\d.]+)/,
    command: (profile, address) => [browsers.chromium.needs[0], ...chromiumFlags, `--user-data-dir=${profile}`, address],
  },
  firefox: {
    needs: [process.env.FIREFOX ?? "/usr/bin/firefox-esr"],
    install: "apt-get install -y firefox-esr",
    version: /Firefox\/([\d.]+)/,
    command: (profile, address) => [browsers.firefox.needs[0], "--headless", "--no-remote", "--profile", profile, address],
  },
  webkit: {
    needs: [process.env.MINIBROWSER ?? miniBrowser(), "/usr/bin/Xvfb"],
    install: "apt-get install -y webkit2gtk-driver xvfb",
    version: /Version\/([\d.]+)/,
    display: true,
    command: (_, address) => [browsers.webkit.needs[0], address],
  },
};

export const isInstalled = ({ needs }) => needs.every((path) => existsSync(path));
