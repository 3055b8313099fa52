#!/usr/bin/env python3
"""Pairs of AWS files in all their dialects, and the identity that botocore, the library of the aws CLI, finds in them.

    pairs.py LIBRARIES ENDPOINT FOLDER

Creates three users at ENDPOINT (moto), writes each pair below FOLDER, and prints one JSON object per line: the name of the
pair, the profile to ask for, the environment, and `arn` or `error`.
"""

import json
import os
import pathlib
import sys

USERS = ("john", "jane", "max")
ROLE = "arn:aws:iam::123456789012:role/Deployer"
OTHER_ROLE = "arn:aws:iam::123456789012:role/Auditor"


def key(user, assign=" = ", indent="", upper=False):
    names = ["aws_access_key_id", "aws_secret_access_key"]
    if upper:
        names = [name.upper() for name in names]
    values = [f"<{user}-id>", f"<{user}-secret>"]
    return "".join(f"{indent}{name}{assign}{value}\n" for name, value in zip(names, values))


def profile(user, header="[team]", **style):
    return f"{header}\n{key(user, **style)}"


def role(source, header="[profile team]", arn=ROLE, extra=""):
    return f"{header}\nrole_arn = {arn}\nsource_profile = {source}\n{extra}"


JOHN_BY_PROCESS = "credential_process = printf '{\"Version\":1,\"AccessKeyId\":\"<john-id>\",\"SecretAccessKey\":\"<john-secret>\"}'\n"
OTHERS = profile("jane", "[default]")


def in_credentials():
    """Name, credentials file, config file."""
    yield "plain", profile("john"), ""
    yield "no blanks", profile("john", assign="="), ""
    yield "tabs", profile("john", assign="\t=\t"), ""
    yield "colon", profile("john", assign=": "), ""
    yield "capitals", profile("john", upper=True), ""
    yield "indented", profile("john", indent="  "), ""
    yield "indented with tabs", profile("john", indent="\t"), ""
    yield "indented unevenly", "[team]\n    aws_access_key_id = <john-id>\n  aws_secret_access_key = <john-secret>\n", ""
    yield "second line indented", "[team]\naws_access_key_id = <john-id>\n  aws_secret_access_key = <john-secret>\n", ""
    yield "CRLF", profile("john").replace("\n", "\r\n"), ""
    yield "no newline at the end", profile("john").rstrip("\n"), ""
    yield "byte order mark", "\ufeff" + profile("john"), ""
    yield "byte order mark before a comment", "\ufeff# keys\n" + profile("john"), ""
    yield "comments", "# a\n; b\n" + profile("john", "[team] # c") + "  # d\n", ""
    yield "comment behind the header without a blank", profile("john", "[team]# c"), ""
    yield "comment behind a value", profile("john") + "region = eu-west-1 # c\n", ""
    yield "comment behind a key", "[team]\naws_access_key_id = <john-id> # c\naws_secret_access_key = <john-secret>\n", ""
    yield "text behind the header", profile("john", "[team] text"), ""
    yield "double quotes", '[team]\naws_access_key_id = "<john-id>"\naws_secret_access_key = "<john-secret>"\n', ""
    yield "single quotes", "[team]\naws_access_key_id = '<john-id>'\naws_secret_access_key = '<john-secret>'\n", ""
    yield "blanks in the header", profile("john", "[ team ]"), ""
    yield "prefix in the credentials file", profile("john", "[profile team]"), ""
    yield "name in quotes", profile("john", '["team"]'), ""
    yield "name in capitals", profile("john", "[TEAM]"), ""
    yield "twice, the same keys again", profile("jane") + profile("john"), ""
    yield "twice, one key each", "[team]\naws_access_key_id = <john-id>\n[team]\naws_secret_access_key = <john-secret>\n", ""
    yield "the same property twice", "[team]\naws_access_key_id = <jane-id>\n" + key("john"), ""
    yield "another profile twice", OTHERS + profile("john") + OTHERS, ""
    yield "a line without a sign", profile("john") + "nonsense\n", ""
    yield "a line before the first section", "region = eu-west-1\n" + profile("john"), ""
    yield "a property without a name", profile("john") + "= x\n", ""
    yield "only one half of the key", "[team]\naws_access_key_id = <john-id>\n", ""
    yield "an empty half", "[team]\naws_access_key_id = <john-id>\naws_secret_access_key =\n", ""
    yield "nested settings", profile("john") + "s3 =\n  addressing_style = path\n  max_queue_size = 1\n", ""
    yield "nested settings before the key", "[team]\ns3 =\n  addressing_style = path\n" + key("john"), ""
    yield "nested nonsense", profile("john") + "s3 =\n  nonsense\n", ""
    yield "an indented section", OTHERS + " " + profile("john"), ""
    yield "an empty file", "", ""
    yield "only in the config file", "", profile("john", "[profile team]")
    yield "both files, the same profile", profile("john"), profile("jane", "[profile team]")
    yield "one half in each file", "[team]\naws_secret_access_key = <john-secret>\n", "[profile team]\naws_access_key_id = <john-id>\n"
    yield "a process beside the key", profile("jane"), "[profile team]\n" + JOHN_BY_PROCESS
    yield "an unfinished config file", profile("john"), "[profile other"


def in_config():
    """Name, config file, credentials file."""
    yield "no prefix", profile("john"), ""
    yield "prefix in capitals", profile("john", "[Profile team]"), ""
    yield "prefix and tab", profile("john", "[profile\tteam]"), ""
    yield "prefix and blanks", profile("john", "[profile   team  ]"), ""
    yield "blank before the prefix", profile("john", "[ profile team]"), ""
    yield "name in double quotes", profile("john", '[profile "team"]'), ""
    yield "name in single quotes", profile("john", "[profile 'team']"), ""
    yield "text behind the bracket", profile("john", "[profile team] /* note */"), ""
    yield "comment with a bracket", profile("john", "[profile team] # see [1]"), ""
    yield "a process", "[profile team]\n" + JOHN_BY_PROCESS, ""
    yield "a process beside a key in the same file", "[profile team]\n" + JOHN_BY_PROCESS + key("jane"), ""
    yield "role", role("base") + profile("john", "[profile base]"), ""
    yield "role of a source in the credentials file", role("base"), profile("john", "[base]")
    yield "role of itself", role("team") + key("john"), ""
    yield "role of itself without credentials", role("team"), ""
    yield "role with a session name", role("base", extra="role_session_name = jane\n") + profile("john", "[profile base]"), ""
    yield "role of a missing source", role("gone"), ""
    yield "role without a source", f"[profile team]\nrole_arn = {ROLE}\n", ""
    yield "role with two sources", role("base", extra="credential_source = Environment\n") + profile("john", "[profile base]"), ""
    yield "role of an unknown source", f"[profile team]\nrole_arn = {ROLE}\ncredential_source = Nowhere\n", ""
    yield "roles in a circle", role("base") + role("team", "[profile base]"), ""
    yield "roles in a row", role("base") + role("end", "[profile base]", OTHER_ROLE) + profile("john", "[profile end]"), ""
    yield "role of a source with a key and a role", role("base") + role("gone", "[profile base]", OTHER_ROLE) + key("john"), ""
    yield "role beside an own key", role("base") + key("jane") + profile("john", "[profile base]"), ""
    yield "role of a process", role("base") + "[profile base]\n" + JOHN_BY_PROCESS, ""
    yield "role of a source without credentials", role("base") + "[profile base]\nregion = eu-west-1\n", ""
    yield "role with a comment", f"[profile team]\nrole_arn = {ROLE} # c\nsource_profile = base\n" + profile("john", "[profile base]"), ""
    yield "role in quotes", f'[profile team]\nrole_arn = "{ROLE}"\nsource_profile = base\n' + profile("john", "[profile base]"), ""
    yield "role with indented properties", f"[profile team]\n  role_arn = {ROLE}\n  source_profile = base\n" + profile("john", "[profile base]"), ""
    yield "role of a source without a prefix", role("base") + profile("john", "[base]"), ""
    yield "SSO without its session", "[profile team]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = x\n", ""
    yield "SSO without a region", "[profile team]\nsso_start_url = https://x\nsso_account_id = 1\nsso_role_name = x\n", ""
    yield "a web identity without its token", f"[profile team]\nrole_arn = {ROLE}\nweb_identity_token_file = /nonexistent\n", ""
    yield "a web identity", f"[profile team]\nrole_arn = {ROLE}\nweb_identity_token_file = <folder>/token\n", ""


def with_environment():
    """Name, config file, credentials file, profile, environment."""
    both = profile("john") + profile("jane", "[default]")
    yield "default", "", both, "", {}
    yield "prefixed default", profile("john", "[profile default]"), "", "", {}
    yield "default beside a prefixed one", profile("jane", "[default]") + profile("john", "[profile default]"), "", "", {}
    yield "prefixed default before a plain one", profile("jane", "[profile default]") + profile("john", "[default]"), "", "", {}
    yield "AWS_PROFILE", "", both, "", {"AWS_PROFILE": "team"}
    yield "AWS_DEFAULT_PROFILE", "", both, "", {"AWS_DEFAULT_PROFILE": "team"}
    yield "AWS_PROFILE beside AWS_DEFAULT_PROFILE", "", both, "", {"AWS_PROFILE": "team", "AWS_DEFAULT_PROFILE": "default"}
    yield "AWS_PROFILE beside the same AWS_DEFAULT_PROFILE", "", both, "", {"AWS_PROFILE": "team", "AWS_DEFAULT_PROFILE": "team"}
    yield "AWS_PROFILE of a missing profile", "", both, "", {"AWS_PROFILE": "gone"}
    yield "AWS_PROFILE of a role", role("base"), both + profile("john", "[base]"), "", {"AWS_PROFILE": "team"}
    yield "a missing profile", "", both, "gone", {}
    yield "key of the environment beside a default", "", both, "", {"AWS_ACCESS_KEY_ID": "<max-id>", "AWS_SECRET_ACCESS_KEY": "<max-secret>"}
    yield "key of the environment beside the profile", "", both, "team", {"AWS_ACCESS_KEY_ID": "<max-id>", "AWS_SECRET_ACCESS_KEY": "<max-secret>"}
    yield "role of the environment", f"[profile team]\nrole_arn = {ROLE}\ncredential_source = Environment\n", "", "team", {"AWS_ACCESS_KEY_ID": "<max-id>", "AWS_SECRET_ACCESS_KEY": "<max-secret>"}
    yield "web identity of the environment beside a default", "", both, "", {"AWS_WEB_IDENTITY_TOKEN_FILE": "<folder>/token", "AWS_ROLE_ARN": ROLE}
    yield "tilde in AWS_CONFIG_FILE", profile("john", "[profile team]"), "", "team", {"AWS_CONFIG_FILE": "~/.aws/config"}
    yield "tilde in AWS_SHARED_CREDENTIALS_FILE", "", profile("john"), "team", {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
    yield "AWS_CONFIG_FILE of a missing file", profile("john", "[profile team]"), "", "team", {"AWS_CONFIG_FILE": "/nonexistent"}
    yield "name with a blank in quotes", profile("john", "[profile 'my team']"), "", "my team", {}
    yield "name with a blank in the credentials file", "", profile("john", "[my team]"), "my team", {}
    yield "name with an umlaut", "", profile("john", "[müller]"), "müller", {}
    yield "source with a blank", role("my base") + profile("john", "[profile 'my base']"), "", "team", {}


def all_pairs():
    for name, credentials, config in in_credentials():
        yield "credentials: " + name, config, credentials, "team", {}
    for name, config, credentials in in_config():
        yield "config: " + name, config, credentials, "team", {}
    for name, config, credentials, asked, environment in with_environment():
        yield "environment: " + name, config, credentials, asked, environment


def create_users(endpoint):
    import boto3

    iam = boto3.client("iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    values = {}
    for user in USERS:
        iam.create_user(UserName=user)
        access_key = iam.create_access_key(UserName=user)["AccessKey"]
        values[f"<{user}-id>"] = access_key["AccessKeyId"]
        values[f"<{user}-secret>"] = access_key["SecretAccessKey"]
    return values


def replace(text, values):
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


# The reader of botocore's models, which remembers what it has read.
LOADERS = {}


def identity(endpoint, asked):
    import botocore.config
    import botocore.session

    quick = botocore.config.Config(retries={"max_attempts": 1}, connect_timeout=2)
    try:
        session = botocore.session.Session(profile=asked or None)
        # The models of the services have nothing to do with the files, and take longer to read than all else.
        session.register_component("data_loader", LOADERS.setdefault("one", session.get_component("data_loader")))
        sts = session.create_client("sts", region_name="us-east-1", endpoint_url=endpoint, config=quick)
        return {"arn": sts.get_caller_identity()["Arn"]}
    except Exception as error:  # whatever it is, the identity is unknown
        return {"error": type(error).__name__}


def main():
    libraries, endpoint, folder = sys.argv[1:]
    sys.path.insert(0, libraries)
    users = create_users(endpoint)
    for number, (name, config, credentials, asked, environment) in enumerate(all_pairs()):
        home = pathlib.Path(folder) / f"{number:03}"
        values = {**users, "<folder>": str(home)}
        (home / ".aws").mkdir(parents=True)
        (home / "token").write_text("token")
        (home / ".aws/config").write_bytes(replace(config, values).encode())
        (home / ".aws/credentials").write_bytes(replace(credentials, values).encode())
        environment = {variable: replace(value, values) for variable, value in environment.items()}
        environment.update(HOME=str(home), AWS_ENDPOINT_URL_STS=endpoint, AWS_EC2_METADATA_DISABLED="true", PATH=os.environ["PATH"])
        os.environ.clear()
        os.environ.update(environment)
        print(json.dumps({"name": name, "profile": asked, "environment": environment, **identity(endpoint, asked)}))


main()
