// Starts `forge lsp` and connects the editor with it.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = function () {
  const command = vscode.workspace.getConfiguration("forge").get("path");
  client = new LanguageClient("forge", "forge", { command, args: ["lsp"] }, { documentSelector: [{ scheme: "file", language: "forge" }] });
  return client.start();
};

exports.deactivate = function () {
  return client && client.stop();
};
