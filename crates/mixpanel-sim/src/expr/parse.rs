//! Tokens to a tree, by recursive descent; one function per level of precedence.

use super::ExprError;
use super::lex::{Kind, Token, lex};
use super::value::Value;

/// An expression tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    List(Vec<Node>),
    /// `selector["key"]["key"]…`
    Select(Selector, Vec<String>),
    /// A variable bound by `any` or `all`, with optional keys into it.
    Variable(String, Vec<String>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `a and b and …`; a list and not a tree, so that long filters are not deep.
    And(Vec<Node>),
    /// `a or b or …`
    Or(Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    /// `any x in list (condition)`; with `all` set, `all x in list (condition)`.
    Iterate {
        all: bool,
        variable: String,
        list: Box<Node>,
        condition: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selector {
    Properties,
    Event,
    User,
    GroupProperties,
    Behaviors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    In,
    NotIn,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Boolean,
    Number,
    String,
    Floor,
    Round,
    Ceil,
    Defined,
    Datetime,
}

impl Selector {
    fn named(word: &str) -> Option<Selector> {
        Some(match word {
            "properties" => Selector::Properties,
            "event" => Selector::Event,
            "user" => Selector::User,
            "group_properties" => Selector::GroupProperties,
            "behaviors" => Selector::Behaviors,
            _ => return None,
        })
    }
}

impl Function {
    fn named(word: &str) -> Option<Function> {
        Some(match word {
            "boolean" => Function::Boolean,
            "number" => Function::Number,
            "string" => Function::String,
            "floor" => Function::Floor,
            "round" => Function::Round,
            "ceil" => Function::Ceil,
            "defined" => Function::Defined,
            "datetime" => Function::Datetime,
            _ => return None,
        })
    }

    fn takes(self, arguments: usize) -> bool {
        match self {
            Function::Datetime => arguments == 1 || (3..=6).contains(&arguments),
            _ => arguments == 1,
        }
    }
}

impl Node {
    /// Shows all selections in the tree.
    pub(super) fn each_select<'a>(&'a self, show: &mut impl FnMut(Selector, &'a [String])) {
        match self {
            Node::Literal(_) | Node::Variable(..) => {}
            Node::Select(selector, keys) => show(*selector, keys),
            Node::Not(inner) | Node::Negate(inner) => inner.each_select(show),
            Node::Binary(_, left, right) => {
                left.each_select(show);
                right.each_select(show);
            }
            Node::List(items) | Node::Call(_, items) | Node::And(items) | Node::Or(items) => {
                items.iter().for_each(|item| item.each_select(show));
            }
            Node::Iterate { list, condition, .. } => {
                list.each_select(show);
                condition.each_select(show);
            }
        }
    }
}

/// Deeper nesting than this is refused rather than risking the stack.
const MAX_DEPTH: usize = 100;
/// The most `+ - * / %` in one expression.
const MAX_ARITHMETIC: usize = 500;

pub(super) fn parse(text: &str) -> Result<Node, ExprError> {
    let tokens = lex(text)?;
    let end = text.chars().count();
    let mut parser = Parser { tokens, next: 0, end, depth: 0, arithmetic: 0, variables: Vec::new() };
    let node = parser.or()?;
    match parser.tokens.get(parser.next) {
        None => Ok(node),
        Some(_) => Err(parser.error("expected the end of the expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
    arithmetic: usize,
    variables: Vec<String>,
}

impl Parser {
    fn error(&self, reason: impl Into<String>) -> ExprError {
        let at = self.tokens.get(self.next).map_or(self.end, |token| token.at);
        ExprError::Syntax { at, reason: reason.into() }
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn word_is(&self, offset: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.next + offset), Some(Token { kind: Kind::Word(w), .. }) if w == word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word_is(0, word);
        self.next += usize::from(found);
        found
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Symbol(s)) if *s == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExprError> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.error(format!("expected `{symbol}`"))) }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Result<T, ExprError>) -> Result<T, ExprError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Node, ExprError> {
        self.nested(|parser| {
            let first = parser.and()?;
            let mut operands = vec![first];
            while parser.eat_word("or") {
                operands.push(parser.and()?);
            }
            Ok(one_or(operands, Node::Or))
        })
    }

    fn and(&mut self) -> Result<Node, ExprError> {
        let mut operands = vec![self.not()?];
        while self.eat_word("and") {
            operands.push(self.not()?);
        }
        Ok(one_or(operands, Node::And))
    }

    fn not(&mut self) -> Result<Node, ExprError> {
        if self.eat_word("not") {
            return self.nested(|parser| Ok(Node::Not(Box::new(parser.not()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, ExprError> {
        let left = self.sum()?;
        let Some(operator) = self.eat_comparison() else { return Ok(left) };
        let right = self.sum()?;
        let compared = binary(operator, left, right);
        let next = self.next;
        if self.eat_comparison().is_some() {
            self.next = next;
            return Err(self.error("comparisons do not chain, use parentheses"));
        }
        Ok(compared)
    }

    fn eat_comparison(&mut self) -> Option<Operator> {
        let (operator, tokens) = match self.peek()? {
            Kind::Symbol("==") => (Operator::Equal, 1),
            Kind::Symbol("!=") => (Operator::NotEqual, 1),
            Kind::Symbol(">=") => (Operator::GreaterEqual, 1),
            Kind::Symbol("<=") => (Operator::LessEqual, 1),
            Kind::Symbol(">") => (Operator::Greater, 1),
            Kind::Symbol("<") => (Operator::Less, 1),
            Kind::Word(word) if word == "in" => (Operator::In, 1),
            Kind::Word(word) if word == "not" && self.word_is(1, "in") => (Operator::NotIn, 2),
            _ => return None,
        };
        self.next += tokens;
        Some(operator)
    }

    fn sum(&mut self) -> Result<Node, ExprError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("+")) => Operator::Add,
                Some(Kind::Symbol("-")) => Operator::Subtract,
                _ => return Ok(left),
            };
            self.count_arithmetic()?;
            left = binary(operator, left, self.product()?);
        }
    }

    /// Steps over an operator. Chains of these are as deep as they are long, so their number is bounded.
    fn count_arithmetic(&mut self) -> Result<(), ExprError> {
        if self.arithmetic == MAX_ARITHMETIC {
            return Err(self.error("too many operations"));
        }
        self.arithmetic += 1;
        self.next += 1;
        Ok(())
    }

    fn product(&mut self) -> Result<Node, ExprError> {
        let mut left = self.negation()?;
        loop {
            let operator = match self.peek() {
                Some(Kind::Symbol("*")) => Operator::Multiply,
                Some(Kind::Symbol("/")) => Operator::Divide,
                Some(Kind::Symbol("%")) => Operator::Remainder,
                _ => return Ok(left),
            };
            self.count_arithmetic()?;
            left = binary(operator, left, self.negation()?);
        }
    }

    fn negation(&mut self) -> Result<Node, ExprError> {
        if self.eat_symbol("-") {
            return self.nested(|parser| Ok(Node::Negate(Box::new(parser.negation()?))));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let Some(token) = self.tokens.get(self.next).cloned() else {
            return Err(self.error("the expression ends too early"));
        };
        self.next += 1;
        match token.kind {
            Kind::Number(value) => Ok(Node::Literal(Value::Number(value))),
            Kind::Text(value) => Ok(Node::Literal(Value::Text(value))),
            Kind::Symbol("(") => {
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Kind::Symbol("[") => Ok(Node::List(self.items("]")?)),
            Kind::Word(word) => {
                let word_at = self.next - 1;
                self.word(&word).map_err(|error| match error {
                    None => {
                        self.next = word_at;
                        self.error(format!("unknown name `{word}`"))
                    }
                    Some(error) => error,
                })
            }
            Kind::Symbol(symbol) => {
                self.next -= 1;
                Err(self.error(format!("unexpected `{symbol}`")))
            }
        }
    }

    /// What a word begins; `Err(None)` if it means nothing.
    fn word(&mut self, word: &str) -> Result<Node, Option<ExprError>> {
        match word {
            "true" => return Ok(Node::Literal(Value::Bool(true))),
            "false" => return Ok(Node::Literal(Value::Bool(false))),
            "null" => return Ok(Node::Literal(Value::Null)),
            "undefined" => return Ok(Node::Literal(Value::Undefined)),
            "any" | "all" if self.word_is(1, "in") => return Ok(self.iteration(word == "all")?),
            _ => {}
        }
        if self.variables.iter().any(|variable| variable == word) {
            return Ok(Node::Variable(word.to_owned(), self.keys()?));
        }
        if let Some(selector) = Selector::named(word) {
            let keys = self.keys()?;
            if keys.is_empty() {
                return Err(Some(self.error(format!("expected `[\"name\"]` after `{word}`"))));
            }
            return Ok(Node::Select(selector, keys));
        }
        let function = Function::named(word).ok_or(None)?;
        self.expect("(")?;
        let arguments = self.items(")")?;
        if !function.takes(arguments.len()) {
            let reason = format!("`{word}` does not take {} arguments", arguments.len());
            return Err(Some(self.error(reason)));
        }
        Ok(Node::Call(function, arguments))
    }

    fn iteration(&mut self, all: bool) -> Result<Node, ExprError> {
        let Some(Kind::Word(variable)) = self.peek().cloned() else {
            return Err(self.error("expected a variable"));
        };
        self.next += 2; // the variable and `in`
        let list = Box::new(self.sum()?);
        self.expect("(")?;
        self.variables.push(variable.clone());
        let condition = self.or();
        self.variables.pop();
        let condition = Box::new(condition?);
        self.expect(")")?;
        Ok(Node::Iterate { all, variable, list, condition })
    }

    /// Zero or more `["key"]`.
    fn keys(&mut self) -> Result<Vec<String>, ExprError> {
        let mut keys = Vec::new();
        while self.eat_symbol("[") {
            match self.peek().cloned() {
                Some(Kind::Text(key)) => keys.push(key),
                _ => return Err(self.error("expected a name in quotes")),
            }
            self.next += 1;
            self.expect("]")?;
        }
        Ok(keys)
    }

    /// Expressions separated by commas, up to `close`.
    fn items(&mut self, close: &str) -> Result<Vec<Node>, ExprError> {
        let mut items = Vec::new();
        if self.eat_symbol(close) {
            return Ok(items);
        }
        loop {
            items.push(self.or()?);
            if self.eat_symbol(close) {
                return Ok(items);
            }
            if !self.eat_symbol(",") {
                return Err(self.error(format!("expected `,` or `{close}`")));
            }
        }
    }
}

/// The only operand itself, or all of them joined.
fn one_or(mut operands: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match operands.pop() {
        Some(only) if operands.is_empty() => only,
        last => {
            operands.extend(last);
            join(operands)
        }
    }
}

fn binary(operator: Operator, left: Node, right: Node) -> Node {
    Node::Binary(operator, Box::new(left), Box::new(right))
}
