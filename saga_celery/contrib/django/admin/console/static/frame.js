// The way back to the admin: to the page of the saga that the console shows, else to the list.
"use strict";
(() => {
  const link = document.getElementById("in-the-admin");
  function lead() {
    const saga = /^#\/saga\/([0-9a-f-]+)/i.exec(location.hash);
    link.href = saga ? "../" + saga[1] + "/change/" : "../";
    link.textContent = saga ? "This saga in the admin" : "Sagas in the admin";
  }
  addEventListener("hashchange", lead);
  lead();
})();
