import PairingCore
import Testing

@testable import NodesConfiguration

@Suite("Agents in the configuration")
struct AgentsTests {
    @Test("An agent is read with every setting, and what is not given has its default")
    func reads() async throws {
        let configuration = try await load(
            """
            {"agents": {
                "support": {
                    "type": "openai", "url": "https://agents.example.org/v1/", "model": "gpt", "key_env": "SUPPORT_KEY",
                    "system_prompt": "Be kind.", "context_messages": 3, "context_bytes": "1KiB", "timeout": "5s",
                    "silence_timeout": "2s", "concurrency": 4, "waiting": 0, "attempts": 1, "breaker_failures": 2,
                    "breaker_pause": "1s"},
                "sensors.v2": {"type": "webhook", "url": "http://10.0.0.7/hook?x=1", "key_file": "/run/hook.key"},
                "parrot": {"type": "echo"}},
             "channels": {"default_agents": {"web": "support", "iot": "sensors.v2", "mobile": "echo"}}}
            """)
        let support = try #require(configuration.agents["support"])
        #expect(support.kind == .openai)
        #expect(support.url == "https://agents.example.org/v1")
        #expect(support.model == "gpt")
        #expect(support.key == .variable("SUPPORT_KEY"))
        #expect(support.systemPrompt == "Be kind.")
        #expect(support.contextMessages == 3)
        #expect(support.contextBytes == 1024)
        #expect(support.timeout == .seconds(5))
        #expect(support.silenceTimeout == .seconds(2))
        #expect(support.concurrency == 4)
        #expect(support.waiting == 0)
        #expect(support.attempts == 1)
        #expect(support.breakerFailures == 2)
        #expect(support.breakerPause == .seconds(1))
        let sensors = try #require(configuration.agents["sensors.v2"])
        #expect(sensors.key == .file("/run/hook.key"))
        #expect(sensors.timeout == .seconds(120))
        #expect(configuration.agents["parrot"]?.kind == .echo)
        #expect(configuration.defaultAgents.count == 3)
        #expect(configuration.defaultAgents[try #require(ChannelID("iot"))] == "sensors.v2")
    }

    @Test("Nothing about agents needs to be said")
    func nothing() async throws {
        let configuration = try await load()
        #expect(configuration.agents.isEmpty)
        #expect(configuration.defaultAgents.isEmpty)
    }

    static let openai = #""type": "openai", "url": "http://a/v1", "model": "m""#

    @Test(
        "What is wrong is said with its key and what is expected",
        arguments: [
            (#"{"agents": []}"#, "agents is refused"),
            (#"{"agents": {"a b": {"type": "echo"}}}"#, "agents.a b is refused; expected a name"),
            (#"{"agents": {"a": "echo"}}"#, "agents.a is refused; expected an object"),
            (#"{"agents": {"a": {}}}"#, "agents.a.type is missing; expected one of echo, openai, webhook"),
            (#"{"agents": {"a": {"type": "gpt"}}}"#, #"agents.a.type "gpt" is refused"#),
            (#"{"agents": {"a": {"type": "openai"}}}"#, "agents.a.url is missing"),
            (#"{"agents": {"a": {"type": "openai", "url": "http://a"}}}"#, "agents.a.model is missing"),
            (
                #"{"agents": {"a": {"type": "openai", "url": "ftp://a", "model": "m"}}}"#,
                "agents.a.url is refused"
            ),
            (
                #"{"agents": {"a": {"type": "openai", "url": "http://", "model": "m"}}}"#,
                "agents.a.url is refused"
            ),
            (
                #"{"agents": {"a": {"type": "openai", "url": "http://u:p@a", "model": "m"}}}"#,
                "agents.a.url is refused"
            ),
            (
                #"{"agents": {"a": {"type": "openai", "url": "http://a?k=1", "model": "m"}}}"#,
                "agents.a.url is refused"
            ),
            (
                #"{"agents": {"a": {\#(openai), "model ": "m"}}}"#,
                "agents.a.model  is not a setting of an agent of type openai"
            ),
            (
                #"{"agents": {"a": {\#(openai), "timeout": "1ms"}}}"#,
                #"agents.a.timeout "1ms" is refused; expected a duration"#
            ),
            (#"{"agents": {"a": {\#(openai), "timeout": 5}}}"#, "agents.a.timeout 5 is refused"),
            (
                #"{"agents": {"a": {\#(openai), "concurrency": 0}}}"#,
                "agents.a.concurrency 0 is refused; expected a number, 1 to"
            ),
            (#"{"agents": {"a": {\#(openai), "context_bytes": "1GiB"}}}"#, "agents.a.context_bytes"),
            (
                #"{"agents": {"a": {\#(openai), "key_env": "A", "key_file": "/b"}}}"#,
                "agents.a.key_file is refused beside key_env"
            ),
            (
                #"{"agents": {"a": {\#(openai), "key_file": "b"}}}"#,
                "agents.a.key_file is refused; expected an absolute path"
            ),
            (
                #"{"agents": {"a": {"type": "webhook", "url": "http://a"}}}"#,
                "agents.a.key_env is missing, and key_file too"
            ),
            (
                #"{"agents": {"a": {"type": "echo", "url": "http://a"}}}"#,
                "agents.a.url is not a setting of an agent of type echo"
            ),
            (#"{"channels": {"default_agents": []}}"#, "channels.default_agents is refused"),
            (
                #"{"channels": {"default_agents": {"web": "suport"}}}"#,
                #"channels.default_agents.web: "suport" is refused; expected one of echo"#
            ),
            (
                #"{"channels": {"default_agents": {"Web!": "echo"}}}"#,
                "channels.default_agents.Web! is refused; expected a channel's name"
            ),
        ])
    func refused(json: String, problem: String) async {
        let said = await problems(json)
        #expect(said.contains(problem), "\(said)")
    }

    @Test(
        "A key in the configuration is refused, and no message repeats it",
        arguments: [
            #""key": "sk-Secret1""#, #""key_env": "sk-Secret1""#, #""key_file": "sk-Secret1""#,
            #""key": {"a": "sk-Secret1"}"#,
            #""url": "http://user:sk-Secret1@a/v1""#,
        ])
    func keys(setting: String) async {
        let said = await problems(#"{"agents": {"a": {"type": "openai", "model": "m", \#(setting)}}}"#)
        #expect(said.contains("agents.a."))
        #expect(!said.contains("Secret1"), "\(said)")
    }

    @Test("Everything wrong is said at once, and an agent that is refused is still known by its name")
    func all() async {
        let said = await problems(
            #"{"agents": {"a": {"type": "x"}, "b": {"type": "y"}}, "channels": {"default_agents": {"web": "a"}}}"#
        )
        #expect(said.contains("agents.a.type") && said.contains("agents.b.type"))
        #expect(!said.contains("default_agents"))
    }

    @Test("The reference lists the settings of every kind of agent")
    func reference() {
        let keys = NodesConfiguration.agentSettings.map(\.key)
        #expect(Set(keys).count == keys.count)
        for key in ["type", "url", "model", "key_env", "key_file", "timeout", "breaker_pause"] {
            #expect(NodesConfiguration.reference.contains("| `\(key)` |"), "\(key)")
        }
    }
}
