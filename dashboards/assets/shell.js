/* Light or dark: kept in the browser, given to the style sheet as data-scheme and to the callbacks that draw figures. */
(function () {
  "use strict";
  const ns = (window.dash_clientside = window.dash_clientside || {});
  const KEY = "correlate-scheme";

  function remembered() {
    const asked = new URLSearchParams(location.search).get("scheme");
    if (asked === "dark" || asked === "light") return asked;
    try { return localStorage.getItem(KEY) || preferred(); } catch { return preferred(); }
  }

  const preferred = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

  document.documentElement.lang = "en";
  document.documentElement.dataset.scheme = remembered();

  ns.shell = {
    scheme(clicks) {
      const root = document.documentElement;
      if (!clicks) return root.dataset.scheme;
      root.dataset.scheme = root.dataset.scheme === "dark" ? "light" : "dark";
      try { localStorage.setItem(KEY, root.dataset.scheme); } catch { /* private window: the choice lasts for this page */ }
      return root.dataset.scheme;
    },
  };
})();
