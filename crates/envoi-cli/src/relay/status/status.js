"use strict";
// Fetches the page again and puts its values in place of the old ones. Without this script the browser reloads the page.
(() => {
  const lost = document.getElementById("lost");
  const refresh = async () => {
    // Nobody looks, or somebody is about to copy the words of a server.
    if (document.hidden || !getSelection().isCollapsed) return;
    try {
      const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      const old = document.querySelector("main");
      if (fresh && old) old.replaceWith(document.adoptNode(fresh));
      lost.hidden = true;
      document.documentElement.dataset.refreshed = String(Date.now());
    } catch {
      lost.hidden = false;
    }
  };
  setInterval(refresh, 2000);
  document.addEventListener("visibilitychange", refresh);
})();
