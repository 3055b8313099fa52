# tools/formula makes a formula of this: what stands between two @ is filled in.
class ConfigBackup < Formula
  desc "Back a deployment's config.yaml up to S3 and keep a usage log"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "@HOMEPAGE@/releases/download/v@VERSION@/config-backup-@VERSION@-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256 aarch64-apple-darwin@"
    end
    on_intel do
      url "@HOMEPAGE@/releases/download/v@VERSION@/config-backup-@VERSION@-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256 x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@HOMEPAGE@/releases/download/v@VERSION@/config-backup-@VERSION@-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256 aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "@HOMEPAGE@/releases/download/v@VERSION@/config-backup-@VERSION@-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256 x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "config-backup"
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/config-backup.bash" => "config-backup"
    zsh_completion.install "completions/_config-backup"
    fish_completion.install "completions/config-backup.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/config-backup --version")
  end
end
